"""Successive halving: who draws how many images, and who is left in the end."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.compare.paired_errors import squared_errors
from dtool.compare.successive_halving import BASES, FINALISTS, FIRST, JOINING, LAST, Halving
from dtool.errors import DtoolError
from dtool.targets import target
from tests.support.commandline import network

OPTIONS = {"seed": 3, "guidance": None, "clip": None}
RECIPES = [
    f"{rule}/{place}" for rule in ("ddim", "heun", "dpmpp-2m", "unipc", "lms") for place in ("trailing", "logsnr")
]


@pytest.fixture(scope="module")
def halved():
    """(the rounds of ten candidates, the best, what progress was told)."""
    network, seen = target("gmm:d=1").network(), []
    plans = [dtool.plan(recipe, steps=6, network=network) for recipe in RECIPES]
    halving = Halving(network, plans, OPTIONS, None, lambda done, total, what: seen.append((done, total, what)))
    return halving, halving.run(), seen


def test_the_better_half_draws_twice_as_many_images(halved):
    halving, _, seen = halved
    candidates = halving.candidates()
    assert [c.images for c in candidates] == [LAST] * FINALISTS + [2 * FIRST] + [FIRST] * 5
    assert [c.left for c in candidates] == [0] * FINALISTS + [2] + [1] * 5
    asked = sum(c.calls * c.images for c in candidates)
    assert 0.3 * asked < halving.spent < asked, "what begins alike is called once"
    assert all(0 <= done <= total for done, total, _ in seen)
    assert {what for *_, what in seen} == {c.recipe for c in candidates}


def test_those_that_leave_are_worse_on_the_images_that_they_drew(halved):
    halving, _, _ = halved
    errors = [halving._squares(i) for i in range(len(halving.plans))]
    first = [float(each[:FIRST].mean()) for each in errors]
    out = [first[i] for i, left in enumerate(halving.left) if left == 1]
    assert max(first[i] for i, left in enumerate(halving.left) if left != 1) <= min(out)


def test_the_best_has_the_least_error_and_its_images_are_those_of_its_ids(halved):
    halving, best, _ = halved
    assert best == halving.finalists[0]
    assert halving.candidates()[0].recipe == halving.plans[best].recipe
    drawn = dtool.sample(halving.network, halving.plans[best], ids=range(LAST), seed=3).x0
    np.testing.assert_allclose(halving.images[best], drawn, atol=1e-5)
    exact = halving.solutions.take(halving.plans[best], LAST)
    errors = {i: squared_errors(halving.images[i], exact).mean() for i in halving.finalists}
    assert min(errors, key=errors.get) == best
    assert halving.error(best).rmse == pytest.approx(np.sqrt(errors[best]), rel=1e-6)
    shares = [halving.confidence(i) for i in halving.finalists]
    assert sum(shares) == pytest.approx(1)
    assert max(shares) == shares[0]


def test_what_solves_no_ode_takes_no_part():
    network = target("gmm:d=1").network()
    plans = [dtool.plan(recipe, steps=3, network=network) for recipe in ("ddpm", "ddim")]
    assert [plan.recipe for plan in Halving(network, plans, OPTIONS, None, None).plans] == ["ddim"]
    with pytest.raises(DtoolError, match="no candidate solves the ODE"):
        Halving(network, plans[:1], OPTIONS, None, None)


def test_each_round_draws_images_that_are_new():
    drawn = {}
    halving = Halving(network(), [dtool.plan("ddim", steps=3), dtool.plan("heun", steps=2)], {"seed": 4}, None, None)
    draw = halving.draw

    def watch(plan, ids):
        drawn.setdefault(plan.hash, []).extend(ids)
        return draw(plan, ids)

    halving.draw = watch
    halving.run()
    assert list(drawn.values()) == [list(range(LAST))] * 2
    for plan, images in zip(halving.plans, halving.images, strict=True):
        np.testing.assert_allclose(images, dtool.sample(halving.network, plan, n=LAST, seed=4).x0, atol=1e-5)


def test_late_starts_join_for_the_best_of_the_first_rounds():
    """On wide data pure noise is nearer to a state of a lower level, and those who begin there win."""
    network, asked = target("gaussian:d=2,var=9,condition=2").network(), []
    plans = [dtool.plan(recipe, steps=3, network=network) for recipe in RECIPES]

    def vary(plan):
        asked.append(plan.recipe)
        return [dtool.plan(f"ddim/trailing:start={start}", steps=3, network=network) for start in (900, 10)]

    halving = Halving(network, plans, OPTIONS, None, None, vary=vary)
    halving.run()
    assert len(asked) == BASES
    joined = halving.plans[len(plans) :]
    assert [plan.recipe for plan in joined] == ["ddim/trailing:start=900", "ddim/trailing:start=10"], "each once"
    assert halving.left[-1] == 2, "a start at 10 is hopeless"
    assert len(halving.images[-1]) == JOINING
    judged = halving.solutions.probed.solution(joined[0])
    assert judged.images is halving.solutions.probed.solution(plans[0]).images
