"""A beta distribution over the training steps: dense at both ends."""

from __future__ import annotations

from math import exp, lgamma
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import place_by_noise
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array


@spacing("beta", cite="arXiv:2407.12173, section 3")
def beta(
    schedule: Schedule,
    n: int,
    *,
    alpha: Annotated[float, Field(gt=0, le=10, description="smaller: denser near the image")] = 0.6,
    beta: Annotated[float, Field(gt=0, le=10, description="smaller: denser near the noise")] = 0.6,
    compat: Annotated[
        Literal["none", "diffusers"],
        Field(description="its beta sigmas: σ/α, not t, by the distribution, both ends in"),
    ] = "none",
) -> Array:
    """Times at the quantiles 1, 1 - 1/n, … 1/n of a beta distribution over 0 … T-1; times are fractional.

    ComfyUI's is this one rounded to whole times, with fewer steps than asked for where two coincide.
    """
    if compat == "diffusers":
        return place_by_noise(schedule, n, lambda u, high, low: low + quantile(1 - u, alpha, beta) * (high - low))
    return (schedule.T - 1) * quantile(1 - np.arange(n) / n, alpha, beta)


@spacing("beta57", cite="ComfyUI's scheduler of this name, after arXiv:2407.12173, section 3")
def beta57(schedule: Schedule, n: int) -> Array:
    """The spacing `beta` with alpha=0.5 and beta=0.7: a little denser near the image."""
    return np.asarray(beta.function(schedule, n, alpha=0.5, beta=0.7))


def quantile(p: Array, a: float, b: float) -> Array:
    """x with I_x(a, b) = p, the regularised incomplete beta function; `p` in [0, 1].

    Above the value at ½ by the symmetry I_x(a, b) = 1 - I_{1-x}(b, a): below it the series converges quickly.
    """
    low = p <= _series(np.array(0.5), a, b)
    return np.where(low, _small_quantile(np.where(low, p, 0), a, b), 1 - _small_quantile(np.where(low, 0, 1 - p), b, a))


def _small_quantile(p: Array, a: float, b: float) -> Array:
    """The quantile where it is at most ½: Newton's method on log I over log x, which is nearly a straight line."""
    positive = np.where(p > 0, p, 1e-3)
    x = np.full_like(positive, 0.25)
    for _ in range(12):
        value = _series(x, a, b)
        slope = _inverse_beta(a, b) * x**a * (1 - x) ** (b - 1) / value
        x = np.minimum(x * np.exp(-np.log(value / positive) / slope), 0.5)
    return np.where(p > 0, x, 0.0)


def _inverse_beta(a: float, b: float) -> float:
    """1/B(a, b)."""
    return exp(lgamma(a + b) - lgamma(a) - lgamma(b))


def _series(x: Array, a: float, b: float) -> Array:
    """I_x(a, b) = x^a/B(a, b)·Σ (1-b)_k/(k!·(a+k))·x^k, for x ≤ ½."""
    k = np.arange(60)
    terms = np.cumprod(np.concatenate([[1.0], (k[1:] - b) / k[1:]])) / (a + k)
    return np.asarray(_inverse_beta(a, b) * x**a * (np.power.outer(x, k) @ terms))
