"""Heun's method on a flow's velocity."""

from itertools import pairwise

import numpy as np
import pytest

from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.plan import Point
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from tests.support.small_functions import falling, flow_points


@pytest.mark.parametrize("seed", range(3))
def test_flow_heun_is_heun_on_the_velocity(seed):
    times = np.append(falling(seed, 7), 0.0)
    points = flow_points(times)

    def velocity(x, s):
        at = Point(1 - s, s)
        return THREE_GAUSSIANS.eps(x, at) - THREE_GAUSSIANS.x0(x, at)

    x = y = np.linspace(-1, 1, 5)
    for s, t in pairwise(times):
        first = velocity(y, s)
        slope = first if t == 0 else (first + velocity(y + (t - s) * first, t)) / 2
        y = y + (t - s) * slope
    made = compile_plan(get_sampler("flow-heun"), points, prediction="flow")
    assert run_optimal_network(made, THREE_GAUSSIANS, x) == pytest.approx(y, abs=1e-11)
    assert made.rows == 2 * len(times) - 3


def test_flow_heun_takes_both_calls_from_pure_noise():
    made = compile_plan(get_sampler("flow-heun"), flow_points([1.0, 0.6, 0.3, 0.0]), prediction="flow")
    assert made.rows == 5
    assert np.isfinite(run_optimal_network(made, THREE_GAUSSIANS, np.linspace(-1, 1, 5))).all()
