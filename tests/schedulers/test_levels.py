"""λ, ᾱ, v and β of noise levels, and levels of a λ."""

import numpy as np
import pytest

from dtool.schedulers.levels import alpha_sigma_from_lam
from tests.support.schedules import COORDINATES


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_levels_in_every_coordinates(coordinates):
    """λ is what it should be, at both extremes too, and at the infinite ends where these coordinates have them."""
    lam = np.array([-300.0, -40.0, -5.0, 0.0, 1e-9, 5.0, 40.0, 300.0])
    alpha, sigma = alpha_sigma_from_lam(lam, coordinates)
    assert np.log(alpha) - np.log(sigma) == pytest.approx(lam, rel=1e-12, abs=1e-12)
    alpha, sigma = alpha_sigma_from_lam(np.array([np.inf, -np.inf]), coordinates)
    assert alpha[0] == 1
    assert sigma[0] == 0
    if coordinates != "ve":
        assert alpha[1] == 0
        assert sigma[1] == 1
