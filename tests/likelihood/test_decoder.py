"""The decoder: a probability over all levels."""

import numpy as np
import pytest
from scipy import stats

from dtool.errors import UsageError
from dtool.likelihood import bound, decoder
from tests.support.gaussian_data import gaussian_network


@pytest.mark.parametrize("seed", range(3))
def test_the_decoder_is_a_probability_over_all_levels(seed):
    rng = np.random.default_rng(seed)
    for levels, ends in ((256, (-1.0, 1.0)), (17, (-1.0, 1.0)), (2, (0.0, 3.0))):
        values = np.linspace(*ends, levels)[:, None]
        mean = rng.normal(size=50) * np.array([0.5, 1, 5, 100, 0.1] * 10)
        std = 10.0 ** rng.uniform(-6, 2, 50)
        nats = decoder.code_length(values, mean, std, levels, ends)
        assert np.exp(-nats).sum(axis=0) == pytest.approx(1, abs=1e-10)
        density = decoder.code_length(values, mean, std, None, ends)
        assert density == pytest.approx(-stats.norm.logpdf(values, mean, std), rel=1e-12)


def test_log_cdf_and_differences_keep_their_digits():
    x = np.concatenate([np.linspace(-60, 60, 4001), [-1e3, -1e6, -np.inf, np.inf]])
    assert decoder.log_cdf(x) == pytest.approx(stats.norm.logcdf(x), rel=1e-12, abs=1e-300)
    low = np.array([-50.0, 30, 8, -1e-3, -np.inf, 40, -1, 12])
    high = np.array([-49.0, 31, 8.001, 1e-3, -35, np.inf, 1, np.inf])
    turned = low > 0
    a, b = np.where(turned, -high, low), np.where(turned, -low, high)
    with np.errstate(divide="ignore"):
        wanted = stats.norm.logcdf(b) + np.log1p(-np.exp(stats.norm.logcdf(a) - stats.norm.logcdf(b)))
    assert decoder.log_cdf_difference(low, high) == pytest.approx(wanted, rel=1e-10)


def test_levels_off_by_a_factor_are_named():
    x = np.arange(17).reshape(1, 17)[:, :4] / 8 - 1.0
    with pytest.raises(UsageError, match="256 levels") as caught:
        bound(gaussian_network(1.0), x, 3)
    assert "17" in caught.value.hint
    assert bound(gaussian_network(1.0), x, 3, levels=17).levels == 17
