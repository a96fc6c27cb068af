"""Noise of one Brownian path: its law by its weights, the same bits everywhere, and the same picture in more steps."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.path_noise import CELLS, _make_clock, place_rows, require_path_noise, weigh_increment, weigh_rows
from dtool.targets import target

BOUNDS = [0, 1, 7, 1000, 1001, 1700, 2048, 2050, 3333, CELLS]
SDE = "dpmpp-2m-sde/karras"


def product(one, other):
    return sum(weight * other.get(draw, 0.0) for draw, weight in one.items())


def test_increments_are_standard_normal_and_independent():
    parts = [weigh_increment(first, last) for first, last in pairwise(BOUNDS)]
    covariance = [[product(one, other) for other in parts] for one in parts]
    assert np.allclose(covariance, np.eye(len(parts)), atol=1e-12)


@pytest.mark.parametrize(("first", "last"), [(0, 5), (990, 1111), (2000, 4000), (0, CELLS)])
def test_increments_add_up(first, last):
    """√(s' - s)·z of the whole is the sum over its parts, draw for draw."""
    clock = _make_clock()
    bounds = sorted({first, *(b for b in BOUNDS if first < b < last), last})
    whole = {draw: weight * sqrt(clock[last] - clock[first]) for draw, weight in weigh_increment(first, last).items()}
    total = dict.fromkeys(whole, 0.0)
    for low, high in pairwise(bounds):
        for draw, weight in weigh_increment(low, high).items():
            total[draw] = total.get(draw, 0.0) + weight * sqrt(clock[high] - clock[low])
    scale = sqrt(clock[last])
    assert max(abs(value - whole.get(draw, 0.0)) for draw, value in total.items()) < 1e-12 * scale


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-sde", "seeds-3@cosine", "sa-solver:pece=true", "lcm"])
@pytest.mark.parametrize("steps", [1, 3, 37])
def test_each_row_has_an_interval_of_its_own(recipe, steps):
    plan = dtool.plan(recipe, steps=steps)
    placed = place_rows(plan)
    assert len(placed) == plan.draws
    assert all(0 <= first < last <= CELLS for _, first, last in placed)
    assert all(turn < after or last <= first for (turn, _, last), (after, first, _) in pairwise(placed))


def test_a_thousand_steps_still_have_intervals_of_their_own():
    plan = dtool.plan("ddpm@cosine", steps=1000)
    weights = weigh_rows(plan)
    assert len(weights) == 999
    assert all(abs(product(one, one) - 1) < 1e-9 for one in weights)
    assert max(abs(product(one, other)) for one, other in pairwise(weights)) < 1e-9


def test_a_grid_that_goes_up_again_meets_another_path():
    placed = place_rows(dtool.plan("ddpm/repaint:jump_length=2,jump_n=3", steps=20))
    assert {turn for turn, _, _ in placed} == set(range(1 + placed[-1][0]))
    assert placed[-1][0] > 2


def test_twice_the_steps_come_to_the_same_picture():
    network = target("gmm:d=2").network()
    ends = {
        noise: [dtool.sample(network, SDE, steps=steps, n=200, noise=noise).x0 for steps in (40, 80)]
        for noise in ("rows", "path")
    }
    apart = {noise: float(np.sqrt(((one - other) ** 2).mean())) for noise, (one, other) in ends.items()}
    assert apart["path"] < 0.3 * apart["rows"]
    assert ends["path"][0].std(axis=0) == pytest.approx(ends["rows"][0].std(axis=0), rel=0.2)


def test_an_image_is_the_same_in_any_batch_and_on_torch():
    pytest.importorskip("torch")
    plan = dtool.plan(SDE, steps=6, scheduler="linear")
    nets = [
        dtool.network(lambda x, t: 0.3 * x, shape=(2, 3), schedule="linear", backend=backend)
        for backend in ("numpy", "torch")
    ]
    whole = dtool.sample(nets[0], plan, n=5, seed=3, noise="path").x0
    assert np.array_equal(dtool.sample(nets[0], plan, ids=[3], seed=3, noise="path", batch_size=1).x0[0], whole[3])
    assert np.abs(np.asarray(dtool.sample(nets[1], plan, n=5, seed=3, noise="path").x0) - whole).max() < 1e-6


def test_at_an_image_the_path_is_the_same():
    """An image at a strength of one half: the steps that are taken get the noise that they have in a whole run."""
    plan = dtool.plan(SDE, steps=8)
    assert weigh_rows(dtool.plan(SDE, steps=8, strength=0.5)) == weigh_rows(plan)[-3:]


def test_a_samplers_file_has_no_room_for_a_path():
    with pytest.raises(UsageError, match="one noise a row"):
        require_path_noise("path", None, of_file=True)
    assert not require_path_noise("rows", None, of_file=True)


@pytest.mark.parametrize(
    ("options", "cause"),
    [({"noise": "brownian"}, "neither path nor rows"), ({"noise": "path", "x": np.zeros((1, 2))}, "x= has none")],
)
def test_what_cannot_be_had(options, cause):
    with pytest.raises(UsageError, match=cause):
        dtool.sample(target("gmm:d=2").network(), SDE, steps=4, **options)
