"""The paired test of two recipes on a metric."""

import numpy as np
import pytest

from dtool.metrics import list_metrics, measure_difference, resolve_metric
from tests.support.point_sets import RUNS, SPREAD, draw_gaussians, is_within_chance

QUICK = {"resamples": 40, "permutations": 59}


@pytest.mark.parametrize("shift", [0.0, 0.7], ids=["of the data's law", "off it alike"])
def test_two_recipes_of_one_law_do_not_differ(shift):
    p = []
    for seed in range(RUNS):
        a, b, y = draw_gaussians(seed, 40, 40, 60)
        p.append(measure_difference("mmd", a + shift, b + shift, y, seed=seed, resamples=2, permutations=59).p)
    assert is_within_chance((np.array(p) <= 0.05).mean(), 0.05)


@pytest.mark.parametrize("name", ["mmd", "energy", "sliced-w2:projections=40", "fd:extrapolate=false"])
def test_a_slightly_worse_recipe_is_found(name):
    """The same samples, a little wider and off the middle: paired, 150 are enough to see it, and which is worse."""
    differences = []
    for seed in range(6):
        a, y = draw_gaussians(seed, 150, 200)
        differences.append(
            measure_difference(name, a, 1.1 * a + 0.3 * SPREAD, y, seed=seed, resamples=40, permutations=59)
        )
    assert np.median([d.p for d in differences]) <= 0.05
    sign = 1 if resolve_metric(name).better == "higher" else -1
    assert np.mean([sign * d.value > 0 for d in differences]) >= 0.75
    assert all(d.low <= d.value <= d.high and d.value == pytest.approx(d.a - d.b) for d in differences)


@pytest.mark.parametrize("name", [m.token for m in list_metrics() if m.features in ("pixels", "pooled")])
def test_a_recipe_does_not_differ_from_itself(name):
    a, y = draw_gaussians(0, 120, 150)
    difference = measure_difference(name, a, a.copy(), y, **QUICK)
    assert (difference.value, difference.p) == (0, 1)
    assert difference.low == pytest.approx(0, abs=1e-9)
    assert difference.high == pytest.approx(0, abs=1e-9)
