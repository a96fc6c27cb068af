"""The curve of a sampler's error."""

import numpy as np
import pytest

from dtool.certify.convergence import LAW, ODE, choose_measure, curve
from dtool.samplers import get_sampler
from tests.support.steps import rk4


def test_a_curve_is_the_error_at_each_step_count():
    euler, heun = get_sampler("euler"), get_sampler("heun")
    assert choose_measure(euler, heun) == ODE
    assert choose_measure(euler, get_sampler("ddpm")) == LAW
    for measure in (ODE, LAW):
        found = curve(heun, measure, (8, 16, 32, 64))
        assert found.counts == (8, 16, 32, 64)
        assert np.log2(found.errors[-2] / found.errors[-1]) == pytest.approx(2, abs=0.2)
        (first, high), (last, low) = found.reference()
        assert np.log2(high / low) / np.log2(last / first) == pytest.approx(2)
        assert low < found.errors[-1]


def test_what_is_exact_has_a_short_curve():
    assert curve(rk4, ODE, (64, 2048)).counts == (64,), "errors at the floor of rounding are left out"
