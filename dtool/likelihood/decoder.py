"""The last term: what it costs to say the image itself, once x_1 is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.util.arrays import Array

TAIL_START = 30.0  # standard deviations from which on the tail is a series: erfc is 0 from 38 on
_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_HALF_LOG = math.log(2 * math.pi) / 2


def log_cdf(x: Array) -> Array:
    """ln Φ(x), Φ the normal distribution function, to machine precision; -∞ at -∞. Any shape."""
    x = np.asarray(x, dtype=np.float64)
    deep = x < -TAIL_START
    with np.errstate(divide="ignore"):
        near = np.log(_erfc(-np.where(deep, 0.0, np.minimum(x, TAIL_START)) / math.sqrt(2)) / 2)
    # Φ(-z) = φ(z)/z·(1 - 1/z² + 3/z⁴ - …), an asymptotic series: its sixth term is 10⁻¹³ at z = 30, and 10⁻¹⁶ later
    z = np.where(deep & np.isfinite(x), -x, TAIL_START)
    ratio, series = np.ones_like(z), np.ones_like(z)
    for k in range(1, 9):
        ratio = -ratio * (2 * k - 1) / z**2
        series = series + ratio
    far = -(z**2) / 2 - np.log(z) - _HALF_LOG + np.log(series)
    # Above 0, ln Φ = ln(1 - Q) keeps the digits of a small Q.
    high = x > 0
    upper = np.log1p(-_erfc(np.where(high, x, 0.0) / math.sqrt(2)) / 2)
    log_probability = np.where(deep, far, np.where(high, upper, near))
    return np.where(np.isneginf(x), -np.inf, log_probability)


def log_cdf_difference(low: Array, high: Array) -> Array:
    """ln(Φ(high) - Φ(low)) for low < high, elementwise, without cancellation in either tail; ends may be ±∞."""
    # mirrored so that the end nearer to 0 is below it, or the interval contains 0
    turned = low + high > 0 if np.isfinite(low).all() and np.isfinite(high).all() else _is_beyond_zero(low, high)
    low, high = np.where(turned, -high, low), np.where(turned, -low, high)
    below, above = log_cdf(low), log_cdf(high)
    with np.errstate(divide="ignore"):
        return np.asarray(above + np.log(-np.expm1(below - above)))


def _is_beyond_zero(low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether the middle of low … high is above 0, where an end may be infinite."""
    with np.errstate(invalid="ignore"):
        middle = low + high
    return np.asarray(np.where(np.isnan(middle), False, middle > 0))


def code_length(x0: Array, mean: Array, std: Array, levels: int | None, data_range: tuple[float, float]) -> Array:
    """L_0 = -ln p(x0 | x_1) in nats, number by number, for N(mean, std²) (arXiv:2006.11239, section 3.3).

    levels: how many, evenly from one end of data_range to the other, x0 lies on; each has the probability of the
    numbers nearest to it, the first and the last that of all beyond them too. None: the density at x0.
    """
    std = np.maximum(std, 1e-12 * (data_range[1] - data_range[0]))
    if levels is None:
        return np.asarray(np.square((x0 - mean) / std) / 2 + np.log(std) + _HALF_LOG)
    half = bin_width(levels, data_range) / 2
    first, last = data_range[0] + half, data_range[1] - half
    low = np.where(x0 < first, -np.inf, (x0 - half - mean) / std)
    high = np.where(x0 > last, np.inf, (x0 + half - mean) / std)
    return -log_cdf_difference(low, high)


def bin_width(levels: int, data_range: tuple[float, float]) -> float:
    """How far two neighbouring levels are apart."""
    return (data_range[1] - data_range[0]) / (levels - 1)


def snap_to_levels(images: Array, levels: int | None, data_range: tuple[float, float]) -> Array:
    """The images exactly on their levels; raises UsageError if they are not on these levels, or are not finite."""
    if not np.isfinite(images).all():
        raise UsageError("the images contain NaN or infinity", "look at where they come from")
    if levels is None:
        return images
    if levels < 2:
        raise UsageError(f"levels={levels} is too few", "use 2 or more: 256 for pixels of 8 bits")
    width = bin_width(levels, data_range)
    place = (images - data_range[0]) / width
    whole = np.round(place)
    if abs(place - whole).max() > 1e-2 or whole.min() < 0 or whole.max() > levels - 1:
        fits = [
            n for n in (2, 3, 4, 8, 16, 17, 32, 64, 128, 256) if n != levels and _fits_levels(images, n, data_range)
        ]
        hint = f"they are on {fits[0]}" if fits else "give their number of levels; or none, for their density"
        raise UsageError(f"the images are not on {levels} levels from {data_range[0]:g} to {data_range[1]:g}", hint)
    return np.asarray(data_range[0] + whole * width)


def _fits_levels(images: Array, levels: int, data_range: tuple[float, float]) -> bool:
    place = (images - data_range[0]) / bin_width(levels, data_range)
    whole = np.round(place)
    return bool(abs(place - whole).max() < 1e-2 and whole.min() >= 0 and whole.max() < levels)
