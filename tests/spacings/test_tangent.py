"""Two arctangents after each other."""

from math import atan, pi

import numpy as np
import pytest

from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing


def stage(count, slope, pivot, start, end):
    """RES4LYF's values of one stage, by its formula."""
    raw = [((2 / pi) * atan(-slope * (x - pivot)) + 1) / 2 for x in range(count)]
    return [(value - raw[-1]) / (raw[0] - raw[-1]) * (start - end) + end for value in raw]


@pytest.mark.parametrize("n", [2, 7, 20, 50])
def test_on_a_flow_the_levels_are_those_of_res4lyf(n):
    length, slope = n + 2, 0.2 / ((n + 2) / 40)
    middle = int(length * 0.6)
    wanted = [*stage(middle, slope, middle, 1, 0.5)[:-1], *stage(length - middle, slope, 0, 0.5, 0)]
    flow = get_scheduler("flow")
    level = flow.level(get_spacing("bong-tangent")(flow, n))[1]
    clean = flow.sigma[0]
    assert len(wanted) == n + 1
    assert level == pytest.approx(clean + (1 - clean) * np.array(wanted[:-1]), abs=1e-6)


def test_its_end_is_the_schedules():
    times, _, end = get_spacing("bong-tangent:end=sigma_min").place_times(get_scheduler("linear"), 10)
    assert (times[0], end) == (999, 0)


@pytest.mark.parametrize("options", [{"pivot": 0.01}, {"pivot": 0.99}, {"slope": 5.0}])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_any_pivot_and_slope_places_n_steps(options, n):
    times = get_spacing("bong-tangent", **options)(get_scheduler("cosine"), n)
    assert (len(times), times[0]) == (n, 999)
