"""LCM as published."""

import numpy as np
import pytest

from dtool.plan import plan


@pytest.mark.parametrize("steps", [1, 4, 13])
def test_lcm_as_published(steps):
    """x' = α'(c_skip x + c_out x0) + σ' z, with s = 10 t and σ_d = ½; noise at every step but the last."""
    made = plan("lcm:scaling=10", scheduler="scaled-linear", steps=steps)
    alpha, sigma = np.append(made.alpha[1:], 1.0), np.append(made.sigma[1:], 0.0)
    s = 10 * made.t
    assert made.a == pytest.approx(alpha * 0.25 / (s**2 + 0.25), rel=1e-12)
    assert made.b[:, 0] == pytest.approx(alpha * s / np.sqrt(s**2 + 0.25), rel=1e-12)
    assert made.c == pytest.approx(sigma, abs=1e-12)
    plain = plan("lcm", scheduler="scaled-linear", steps=steps)
    assert not plain.a.any()
    assert plain.b[:, 0] == pytest.approx(alpha)
