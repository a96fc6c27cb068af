"""The quantities of a noise level (α, σ), each computed here alone: λ, log-SNR, ᾱ, v = σ/α, and β of a chain of ᾱ."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dtool.util.arrays import Array

Coordinates = Literal["vp", "ve", "flow", "sub-vp"]


def compute_lam(alpha: ArrayLike, sigma: ArrayLike) -> Array:
    """λ = log(α/σ), half the log signal-to-noise ratio: -∞ where there is no signal, +∞ where there is no noise."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(alpha) - np.log(sigma))


def compute_log_snr(alpha: ArrayLike, sigma: ArrayLike) -> Array:
    """The log signal-to-noise ratio, 2λ = log(ᾱ/(1-ᾱ)), as most papers define it."""
    return 2 * compute_lam(alpha, sigma)


def compute_v(alpha: ArrayLike, sigma: ArrayLike) -> Array:
    """v = σ/α, the noise level in units of the image: +∞ where there is no signal."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.divide(sigma, alpha))


def compute_alpha_bar(alpha: ArrayLike, sigma: ArrayLike) -> Array:
    """ᾱ = α²/(α²+σ²), the share of the image in the variance; in variance-preserving coordinates it is α²."""
    signal, noise = np.square(alpha), np.square(sigma)
    return np.asarray(signal / (signal + noise))


def compute_betas(alpha_bar: Array) -> Array:
    """β_t = 1 - ᾱ_t/ᾱ_{t-1} of a chain from the least noise to the most, `(T,)`; before the first step ᾱ is 1."""
    before = np.concatenate([[1.0], alpha_bar[:-1]])
    return np.asarray(1.0 - alpha_bar / np.where(before == 0, 1.0, before))  # α² may be less than float64 can hold


def lam_from_v(v: ArrayLike) -> Array:
    """λ = -log v: +∞ where there is no noise, -∞ where there is no signal, NaN where v is negative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.log(v))


def alpha_sigma_from_lam(lam: Array, coordinates: Coordinates = "vp") -> tuple[Array, Array]:
    """(α, σ) with log(α/σ) = λ in these coordinates, without cancellation at either end."""
    with np.errstate(over="ignore", invalid="ignore"):
        if coordinates == "vp":
            return 1 / np.sqrt(1 + np.exp(-2 * lam)), 1 / np.sqrt(1 + np.exp(2 * lam))
        if coordinates == "ve":
            return np.ones_like(lam), np.exp(-lam)
        if coordinates == "flow":
            return 1 / (1 + np.exp(-lam)), 1 / (1 + np.exp(lam))
        # sub-vp: α = σ·e^λ and σ = 1 - α², solved for each
        ratio, inverse = np.exp(lam), np.exp(-lam)
        return 2 / (inverse + np.sqrt(inverse**2 + 4)), 2 / (1 + np.sqrt(1 + 4 * ratio**2))
