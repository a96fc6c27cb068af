"""An image of a run does not depend on the others; a start and noise of one's own."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.network import Network
from tests.support.gaussian import RECIPES, SHAPE


@pytest.mark.parametrize("recipe", RECIPES)
def test_same_image_alone_and_in_any_batch(net: Network, recipe: str) -> None:
    many = dtool.sample(net, recipe, n=64, seed=5, steps=7)
    for i in (0, 17, 63):
        assert (dtool.sample(net, recipe, ids=[i], seed=5, steps=7).x0[0] == many.x0[i]).all()
    shuffled = np.random.default_rng(0).permutation(64)
    assert (dtool.sample(net, recipe, ids=shuffled.tolist(), seed=5, steps=7).x0 == many.x0[shuffled]).all()
    assert not (dtool.sample(net, recipe, n=64, seed=6, steps=7).x0 == many.x0).any()


def test_noise_may_be_given_for_draws_or_for_rows(net: Network) -> None:
    plan = dtool.plan("ddpm", steps=6)
    assert (plan.rows, plan.draws) == (6, 5)
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((4, *SHAPE)), rng.standard_normal((6, 4, *SHAPE))
    assert (dtool.sample(net, plan, x=x, noise=z[:5]).x0 == dtool.sample(net, plan, x=x, noise=z).x0).all()


def test_noise_for_rows_is_that_of_the_rows_that_draw(net: Network) -> None:
    plan = dtool.plan("dpm2-ancestral", steps=3)
    drawing = np.flatnonzero(plan.c)
    assert drawing.tolist() == [1, 3], "rows without noise come before"
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((4, *SHAPE)), rng.standard_normal((plan.rows, 4, *SHAPE))
    assert (dtool.sample(net, plan, x=x, noise=z[drawing]).x0 == dtool.sample(net, plan, x=x, noise=z).x0).all()


def test_missing_noise_says_which_shape(net: Network) -> None:
    with pytest.raises(UsageError, match=r"noise for 4 draws") as caught:
        dtool.sample(net, dtool.plan("ddpm", steps=5), x=np.zeros((2, *SHAPE)))
    assert "(4, 2, 2, 3)" in caught.value.hint
