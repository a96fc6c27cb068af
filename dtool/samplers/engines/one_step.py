"""The one-step engine: to the predicted image, and back out to the next level with a chosen part of the noise fresh."""

from __future__ import annotations

from math import expm1, sqrt
from typing import Any


def one_step(now: Any, to: Any, z: Any = None, noise: float = 0.0, eps: Any = None) -> Any:
    """α'·x0 + √(σ'² - noise²)·ε + noise·z at the point `to`: it keeps the marginals whatever the noise.

    noise: the standard deviation of what is fresh, 0 … σ'. 0 is Euler's method for the probability-flow ODE.
    eps: what to go back out along, if not `now.eps`.
    """
    kept = to.alpha * now.x0 + sqrt(max(to.sigma**2 - noise**2, 0.0)) * (now.eps if eps is None else eps)
    return kept + noise * z if noise else kept


def posterior_noise(now: Any, to: Any) -> float:
    """√β̃: the standard deviation of q(x_to | x_now, x0), DDPM's (arXiv:2006.11239, eq. 7)."""
    return float(to.sigma * sqrt(max(1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2, 0.0)))


def sde_noise(now: Any, to: Any, eta: float) -> float:
    """σ'·√(1 - e^{-2ηh}): what the reverse SDE of strength η adds in a step; η = 1 is `posterior_noise`."""
    h = to.lam - now.lam
    return float(to.sigma * sqrt(-expm1(-2 * eta * h)))


def ancestral_noise(now: Any, to: Any, eta: float) -> float:
    """α'·min(v', η v'√(1 - v'²/v²)), v = σ/α: k-diffusion's σ_up; η = 1 is `posterior_noise`."""
    return min(float(to.sigma), eta * posterior_noise(now, to))


def noise_above(to: Any, v: float) -> float:
    """√(σ'² - (α'v)²): what is fresh when ε is kept as at the cleaner level σ/α = `v` and noise leads up to `to`."""
    return sqrt(max(to.sigma**2 - (to.alpha * v) ** 2, 0.0))
