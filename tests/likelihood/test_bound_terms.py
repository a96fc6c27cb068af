"""The terms of the bound with each of the variances that its steps may have."""

import numpy as np
import pytest

import dtool
from dtool.likelihood import bound
from tests.support.gaussian_data import LINEAR, corners, gaussian_network


def test_what_each_variance_is_optimal_for():
    """β for data N(0, I), where it is exact; β̃ for a single point, whose steps then cost nothing."""
    x, z = corners(1.0, 30)
    bits = bound(gaussian_network(1.0), x, 30, variance="beta", levels=None, noise=z)
    assert bits.nats == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=1e-9)
    point = bound(gaussian_network(1e-30, mean=0.3), np.full((2, 4), 0.3), 30, variance="tilde", levels=None, seed=1)
    assert point.rate == pytest.approx(0, abs=1e-9)
    wide = bound(gaussian_network(1e-30, mean=0.3), np.full((2, 4), 0.3), 30, variance="beta", levels=None, seed=1)
    assert wide.rate > 1


def learned(v):
    """`gaussian`, with a second half of its output that says `v` everywhere."""
    inner = gaussian_network()

    def fn(x, t):
        return np.concatenate([inner.fn(x, t), np.full_like(x, v)], axis=1)

    return dtool.network(fn, shape=(4,), learned_variance=True)


def test_a_learned_variance_lies_between_tilde_and_beta():
    rng = np.random.default_rng(3)
    x = 0.5 * rng.standard_normal((6, 4))
    for v, name in ((-1.0, "tilde"), (1.0, "beta")):
        own = bound(learned(v), x, 12, variance="learned", levels=None, seed=2)
        plain = bound(gaussian_network(), x, 12, variance=name, levels=None, seed=2)
        assert own.per_image == pytest.approx(plain.per_image, rel=1e-9)
    assert bound(learned(0.0), x, 12, levels=None).variance == "learned"
    # in between, the clip of the last step: halfway of ln β and ln β̃ of the step before
    half = bound(learned(0.0), x, 2, levels=None, seed=2)
    alpha, sigma = LINEAR.alpha[[999, 0]], LINEAR.sigma[[999, 0]]
    low = sigma[1] ** 2 / sigma[0] ** 2 * (1 - (alpha[0] / alpha[1]) ** 2)
    z = np.sqrt(np.sqrt(low * sigma[1] ** 2))
    shared = bound(gaussian_network(), x, 2, variance="beta", levels=None, seed=2)
    miss = (shared.per_image[-1] * np.log(2) - np.log(2 * np.pi * sigma[1] ** 2) / 2) * 2 * sigma[1] ** 2
    assert half.per_image[-1] * np.log(2) == pytest.approx(miss / (2 * z**2) + np.log(2 * np.pi * z**2) / 2, rel=1e-9)
