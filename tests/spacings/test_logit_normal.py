"""The quantiles of a logit-normal law."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.spacings import get_spacing
from tests.support.spacings import LATENT


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.0, 0.5), (-2.0, 2.0)])
@pytest.mark.parametrize("n", [1, 2, 20, 200])
def test_quantiles(n, mean, deviation):
    """ln(u/(1 - u)) of the shares u is normal: even quantiles of it."""
    special = pytest.importorskip("scipy.special")
    found = get_spacing("logit-normal", mean=mean, deviation=deviation)(LATENT, n) / 999
    assert found[0] == 1
    expected = special.expit(mean + deviation * special.ndtri(1 - np.arange(1, n) / n))
    assert found[1:] == pytest.approx(expected, abs=1e-12)


def test_more_lie_in_the_middle_than_at_the_ends():
    times = get_spacing("logit-normal")(LATENT, 100)
    assert ((times > 250) & (times < 750)).sum() > 60


def test_options_out_of_range():
    for options in ({"deviation": 0}, {"mean": 6}):
        with pytest.raises(UsageError):
            get_spacing("logit-normal", **options)
