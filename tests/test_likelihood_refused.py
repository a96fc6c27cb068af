"""What the bound refuses, and its decoder by itself."""

import numpy as np
import pytest
from scipy import stats

import dtool
from dtool.errors import UsageError
from dtool.likelihood import VARIANCES, bound, decoder
from dtool.samplers.statistics import VarianceStatistics


def gaussian():
    """A network that is the exact one for N(0, I)."""
    return dtool.network(lambda x, t: x * dtool.schedule("linear").level(t)[1][:, None], shape=(4,))


def known():
    return VarianceStatistics(np.array([-1.0, 1.0]), np.array([0.5, 0.5]), 1.0, 1)


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
    assert decoder.log_between(low, high) == pytest.approx(wanted, rel=1e-10)


X = np.ones((2, 4))


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (lambda: bound(gaussian(), X, dtool.plan("ddim", steps=9)), "adds no noise"),
        (lambda: bound(gaussian(), X, dtool.plan("heun", steps=9)), "adds no noise"),
        (lambda: bound(gaussian(), X, dtool.plan("dpmpp-2m-sde", steps=9)), "DDPM's mean"),
        (lambda: bound(gaussian(), X, 9, spacing="trailing:end=alpha_bar_0"), "ends before the image"),
        (lambda: bound(gaussian(), X, 9, spacing="restart"), "turn round"),
        (lambda: bound(gaussian(), X, 9, variance="learned"), "predicts no variance"),
        (lambda: bound(gaussian(), X, 9, variance="gamma"), "no variance 'gamma'"),
        (lambda: bound(gaussian(), X, 9, variance="beta", statistics=known()), "statistics are for"),
        (lambda: bound(gaussian(), X + 0.001, 9), "not on 256 levels"),
        (lambda: bound(gaussian(), X * np.nan, 9), "not finite"),
        (lambda: bound(gaussian(), X, 9, levels=1), "1 levels"),
        (lambda: bound(gaussian(), np.zeros((2, 5)), 9), "images have shape"),
        (lambda: bound(gaussian(), X, 9, labels=1), "not conditional"),
        (lambda: bound(gaussian(), X, 9, ids=[1, 1]), "id of its own|2 ids"),
        (lambda: bound(gaussian(), X, 9, variance="beta", noise=np.zeros((3, 2, 4))), "noise has shape"),
        (lambda: bound(gaussian(), X, 9, repeats=0), "draws are too few"),
        (lambda: bound(gaussian(), X, 9, batch_size=0), "batch_size"),
        (lambda: bound(gaussian(), X, 0), "steps"),
        (lambda: bound(gaussian(), X, dtool.plan("ddpm", steps=3), spacing="karras"), "has its levels already"),
    ],
)
def test_what_has_no_bound_is_refused(call, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        call()
    assert caught.value.hint


def test_levels_off_by_a_factor_are_named():
    x = np.arange(17).reshape(1, 17)[:, :4] / 8 - 1.0
    with pytest.raises(UsageError, match="256 levels") as caught:
        bound(gaussian(), x, 3)
    assert "17" in caught.value.hint
    assert bound(gaussian(), x, 3, levels=17).levels == 17


def test_progress_counts_every_call():
    seen = []
    bound(gaussian(), X, 9, variance="analytic", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 18) for i in range(1, 19)]
    assert VARIANCES == ("beta", "tilde", "analytic", "learned")
