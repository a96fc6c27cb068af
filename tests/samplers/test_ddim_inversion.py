"""From an image to noise and back again."""

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.errors import CompileError, UsageError
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.samplers import get_sampler


def smooth(x, t):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return 0.6 * x + 0.2 * np.sin(x + level)


@pytest.mark.parametrize(("rounds", "missed"), [(0, 0.2), (1, 0.03), (4, 1e-4), (12, 1e-9)])
def test_there_and_back_again(rounds, missed):
    net = dtool.network(smooth, shape=(5,), schedule="linear", prediction="v", clip=True)
    image = np.random.default_rng(0).uniform(-0.8, 0.8, (3, 5))
    made = plan("ddim-inversion", rounds=rounds, steps=40, network=net)
    assert (made.rows, made.steps, made.inverse) == (40 * (1 + rounds), 40, True)
    up = dtool.sample(net, made, x=image, trace=True)
    back = dtool.sample(net, plan("ddim", steps=40, network=net), x=up.x0, clip=False).x0
    assert abs(back - image).max() < missed
    assert abs(back - image).max() > (missed / 100 if rounds < 12 else -1)
    np.testing.assert_array_equal(up.trace.x[0], image)


def test_the_inversions_grid_is_ddims_backwards():
    up, down = plan("ddim-inversion", steps=7), plan("ddim", steps=7)
    assert (up.alpha[0], up.sigma[0], up.init) == (1, 0, 1)
    assert up.t[1:].tolist() == down.t[:0:-1].tolist()
    assert up.time[0] == 0, "the image is shown at the first level"
    given = plan("ddim-inversion", points=[900, 500, 100])
    assert given.t[1:].tolist() == [100, 500]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("prediction", ["eps", "v", "flow"])
def test_an_image_is_no_level_outside_the_trained_ones(prediction):
    net = dtool.network(smooth, shape=(5,), schedule="cosine", prediction=prediction)
    out = dtool.sample(net, "ddim-inversion", steps=9, x=np.zeros((2, 5)))
    assert np.isfinite(out.x0).all()


def test_what_an_inversion_refuses():
    net = dtool.network(smooth, shape=(5,), clip=True)
    image = np.zeros((2, 5))
    with pytest.raises(UsageError, match="leads from an image") as error:
        dtool.sample(net, "ddim-inversion", n=2)
    assert "x=" in (error.value.hint or "")
    with pytest.raises(UsageError, match="cannot clip"):
        dtool.sample(net, "ddim-inversion", x=image, clip=True)
    blind = dtool.network(smooth, shape=(5,), prediction="x0")
    with pytest.raises(CompileError, match="not finite") as error:
        dtool.sample(blind, "ddim-inversion", x=image)
    assert "end=0" in (error.value.hint or "")
    made = plan("ddim-inversion", steps=6, end=0, network=blind)
    assert np.isfinite(dtool.sample(blind, made, x=image).x0).all()
    with pytest.raises(CompileError, match="turns round"):
        compile_plan(get_sampler("ddim-inversion"), grids.two_pass_grid(8))
