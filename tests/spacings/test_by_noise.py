"""Spacings by noise: their formulas written down a second time."""

from math import atan, exp, log, tan

import numpy as np
import pytest

from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.spacings import EDM, levels


def test_edm_grid():
    """arXiv:2206.00364, eq. 5 with the paper's ends, on a variance-preserving schedule that reaches them."""
    table = get_scheduler("simple-diffusion:image_d=1024")
    found = levels("karras:sigma_min=0.05,sigma_max=80", table, 18)
    expected = [(80 ** (1 / 7) + i / 17 * (0.05 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert found == pytest.approx([*expected, 0.0], rel=1e-9)
    own = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert levels("karras", EDM, 18) == pytest.approx([*own, 0.0], rel=1e-9)


def test_exponential_and_polyexponential():
    high, low = 157.4, 0.0101
    table = EDM.__class__(np.ones(3), np.array([0.0101, 1.0, 157.4]), coordinates="ve")
    ramp = [1 - i / 8 for i in range(9)]
    assert levels("exponential", table, 3)[:2] == pytest.approx([high, (high * low) ** 0.5], rel=1e-9)
    for rho in (1.0, 2.5):
        expected = [exp(u**rho * (log(80) - log(0.002)) + log(0.002)) for u in ramp]
        assert levels(f"polyexponential:rho={rho}", EDM, 9)[:-1] == pytest.approx(expected, rel=1e-8)


def test_kl_optimal():
    expected = [tan(i / 11 * atan(0.002) + (1 - i / 11) * atan(80)) for i in range(12)]
    assert levels("kl_optimal", EDM, 12)[:-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 10, 31])
def test_linear_quadratic(n):
    """Half of the steps at a distance of 0.025/half, then a parabola that leaves with that slope and ends at 0."""
    half = n // 2
    sigma = [1 - 0.025 * i / half for i in range(half)]
    if n > 1:
        a = (half - 0.025 * n) / (half * (n - half) ** 2)
        b = 0.025 / half - 2 * (half - 0.025 * n) / (n - half) ** 2
        sigma += [1 - (a * i * i + b * i + a * half**2) for i in range(half, n)]
    else:
        sigma = [1.0]
    found = [p.sigma for p in grid(get_scheduler("flow"), get_spacing("linear-quadratic"), n)]
    assert found == pytest.approx([*sigma, 0.0], abs=1e-9)


@pytest.mark.parametrize("levels", ["linear", "cosine", "vp:T=100"])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_logsnr_is_even_in_lambda(levels, n):
    table = get_scheduler(levels)
    alpha, sigma = table.level(get_spacing("logsnr")(table, n))
    lam = np.log(alpha) - np.log(sigma)
    assert lam == pytest.approx(np.linspace(table.lam[-1], table.lam[0], n), abs=1e-7)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_karras_is_even_in_a_power_of_v(rho):
    table = get_scheduler("linear")
    alpha, sigma = table.level(get_spacing("karras", rho=rho)(table, 12))
    steps = np.diff((sigma / alpha) ** (1 / rho))
    assert steps == pytest.approx(np.full(11, steps[0]), rel=1e-6)


@pytest.mark.parametrize("name", ["logsnr", "karras", "polyexponential", "kl-optimal", "beta:compat=diffusers"])
@pytest.mark.parametrize("levels", ["linear:zero_snr=true", "flow", "jsd"])
@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_level_without_signal_comes_first(name, levels, n):
    table = get_scheduler(levels)
    points = grid(table, get_spacing(name), n)
    assert points[0].alpha == 0
    assert all(p.alpha > 0 for p in points[1:])
