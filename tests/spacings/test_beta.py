"""The quantiles of a beta law."""

import numpy as np
import pytest

from dtool.spacings import get_spacing
from dtool.spacings.beta import quantile
from tests.support.spacings import LATENT


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.3, 1.5), (2.0, 5.0), (1.0, 1.0), (10.0, 0.3)])
def test_beta_quantiles(a, b):
    stats = pytest.importorskip("scipy.stats")
    p = np.concatenate([[0, 1e-9], np.linspace(0.001, 1, 300)])
    assert quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-10, abs=1e-14)


def test_beta_is_that_of_comfyui_before_rounding():
    stats = pytest.importorskip("scipy.stats")
    found = get_spacing("beta")(LATENT, 20)
    assert found == pytest.approx(999 * stats.beta.ppf(1 - np.arange(20) / 20, 0.6, 0.6), abs=1e-9)


def test_beta57_is_the_one_with_these_parameters():
    assert (get_spacing("beta57")(LATENT, 15) == get_spacing("beta", alpha=0.5, beta=0.7)(LATENT, 15)).all()
