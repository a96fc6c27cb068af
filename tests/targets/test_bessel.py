"""Quotients of Bessel functions against SciPy."""

import numpy as np
import pytest
from scipy import special

from dtool.targets.bessel import bessel


@pytest.mark.parametrize("order", [-0.5, 0, 0.5, 1, 7, 31, 63])
def test_bessel_against_scipy(order):
    k = np.logspace(-3, 8, 80)
    ratio, logarithm = bessel(order, k)
    with np.errstate(all="ignore"):
        wanted = special.ive(order + 1, k) / special.ive(order, k) / k
        log_wanted = special.gammaln(order + 1) + order * np.log(2 / k) + np.log(special.ive(order, k))
    good = np.isfinite(log_wanted) & (wanted > 0) & np.isfinite(wanted)
    assert good.sum() > 40
    np.testing.assert_allclose(ratio[good], wanted[good], rtol=1e-9)
    np.testing.assert_allclose(logarithm[good], log_wanted[good], atol=1e-8)
    assert bessel(order, 0.0)[0] == pytest.approx(1 / (2 * (order + 1)), rel=1e-10)
