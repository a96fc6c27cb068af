"""The variance-preserving SDE's β, integrated."""

from math import exp

import numpy as np
import pytest

from dtool.schedulers import get_scheduler


def test_vp_is_the_integral_of_its_beta():
    """log ᾱ(u) = -∫ β, β = 0.1 + 19.9 u; the integral by Simpson's rule, exact for a straight line."""
    table = get_scheduler("vp", T=40)
    for i in (0, 7, 39):
        u = (i + 1) / 40
        integral = u / 6 * (0.1 + 4 * (0.1 + 19.9 * u / 2) + 0.1 + 19.9 * u)
        assert table.alpha[i] ** 2 == pytest.approx(exp(-integral), rel=1e-12)
    fine, discrete = get_scheduler("vp", T=1000), get_scheduler("vp", T=1000)
    assert np.abs(fine.alpha - discrete.alpha).max() < 0.002, "the limit of linear"
