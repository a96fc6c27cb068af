"""Distances between images drawn from the same noise, with intervals over the images: paired, so that few suffice."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, exp, log, log10, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError

Array = NDArray[np.float64]

RESAMPLES = 2000
WIDEST = 4.0  # standard errors: few images can make the quantiles enormous, and say little by it
MARGIN = 10  # how many times its own error a reference must be exceeded by, to be a reference


@dataclass(frozen=True)
class SolverError:
    """How far images are from the converged solution of the same ODE, from the same noise.

    `rmse`: root mean square over images and pixels, in the data's units; `low`, `high`: its 95 % interval over the
    choice of images (None for one image). `psnr`: 20·log10(width of the data's range / rmse) in dB, None for rmse 0.
    `own`: the reference's own error; `judged`: whether rmse is at least ten times that. Where it is not, rmse says no
    more than that the error is of this size or less.
    """

    rmse: float
    psnr: float | None
    low: float | None
    high: float | None
    judged: bool
    own: float


@dataclass(frozen=True)
class Difference:
    """rmse of one recipe less that of another, from the same noise, with its 95 % interval over the images.

    `apart`: whether the interval leaves out 0. Positive: the first is worse.
    """

    value: float
    low: float
    high: float
    apart: bool


def squares(images: Any, solution: Any) -> Array:
    """The mean square difference of each image, `(n,)`, from arrays `(n, *shape)`."""
    a, b = np.asarray(images, dtype=np.float64), np.asarray(solution, dtype=np.float64)
    if a.shape != b.shape:
        raise UsageError(f"images of shape {a.shape} beside a solution of {b.shape}", "draw the same images")
    return np.asarray(((a - b) ** 2).reshape(len(a), -1).mean(axis=1))


def error(images: Any, solution: Any, own: float, data_range: tuple[float, float], seed: int = 0) -> SolverError:
    """The `SolverError` of images `(n, *shape)` beside the solution's, whose own error is `own`."""
    each = squares(images, solution)
    rmse = sqrt(each.mean())
    psnr = 20 * log10((data_range[1] - data_range[0]) / rmse) if rmse > 0 else None
    low, high = interval(each, seed)
    return SolverError(rmse, psnr, low, high, rmse >= MARGIN * own, own)


def interval(each: Array, seed: int = 0) -> tuple[float | None, float | None]:
    """The 95 % interval of the root of the mean of `each` `(n,)`; (None, None) if n = 1.

    Studentised bootstrap (Efron and Tibshirani, 1993, section 12.5) of the mean's logarithm: the squares are skewed,
    and percentiles of few of them are too narrow.
    """
    mean = float(each.mean())
    if len(each) < 2:
        return None, None
    if mean == 0 or each.std() <= 1e-12 * mean:
        return sqrt(mean), sqrt(mean)
    means, errors = _resampled(each, seed)
    good = errors > 0
    t = (np.log(means[good]) - log(mean)) / (errors[good] / means[good])
    error_of_log = float(each.std(ddof=1)) / sqrt(len(each)) / mean
    upper, lower = (log(mean) - quantile * error_of_log for quantile in _ends(t))
    return exp(lower / 2), exp(upper / 2)


def difference(first: Any, second: Any, solution: Any, seed: int = 0) -> Difference:
    """How much further from the solution `first` is than `second`: all arrays `(n, *shape)`, n at least 2.

    The interval is that of Σ ψ_i/n with ψ_i the influence of image i on the difference of the two roots, studentised.
    """
    a, b = squares(first, solution), squares(second, solution)
    if len(a) < 2:
        raise UsageError("one image says nothing of how sure a difference is", "draw 2 or more")
    root_a, root_b = sqrt(a.mean()), sqrt(b.mean())
    influence = a / (2 * root_a or 1.0) - b / (2 * root_b or 1.0)
    value, spread = root_a - root_b, float(influence.std(ddof=1)) / sqrt(len(a))
    if spread == 0:
        return Difference(value, value, value, value != 0)
    means, errors = _resampled(influence, seed)
    good = errors > 0
    t = (means[good] - influence.mean()) / errors[good]
    high, low = (value - float(quantile) * spread for quantile in _ends(t))
    return Difference(value, low, high, not low <= 0 <= high)


def chance(first: Any, second: Any, solution: Any) -> float:
    """p of the hypothesis that two recipes' images are equally far from the solution: arrays `(n, *shape)`.

    Student's t-test, two-sided, of the mean of log(a_i/b_i), a_i and b_i the square errors of image i: errors are
    skewed and in proportion to each other, their ratio's logarithm is neither. 1 for a single image.
    """
    tiny = np.finfo(np.float64).tiny
    ratio = np.log(squares(first, solution) + tiny) - np.log(squares(second, solution) + tiny)
    if len(ratio) < 2 or not ratio.any():
        return 1.0
    spread = float(ratio.std(ddof=1)) / sqrt(len(ratio))
    return _tail(abs(float(ratio.mean())) / spread, len(ratio) - 1) if spread > 0 else 0.0


def _tail(t: float, freedom: int) -> float:
    """P(|T| > t) of Student's t: with T = √freedom·tan θ, θ has a density in proportion to cos^(freedom-1) θ."""
    start = atan(t / sqrt(freedom))
    beyond, whole = (np.linspace(low, pi / 2, 4001) for low in (start, 0.0))
    parts = [np.trapezoid(np.cos(theta).clip(0) ** (freedom - 1), theta) for theta in (beyond, whole)]
    return float(parts[0] / parts[1])


def _ends(t: Array) -> Array:
    """The quantiles of the studentised means that a 95 % interval is made of."""
    return np.clip(np.quantile(t, [0.025, 0.975]), -WIDEST, WIDEST)


def _resampled(each: Array, seed: int) -> tuple[Array, Array]:
    """Mean and standard error of `RESAMPLES` draws of n from `each` `(n,)` with replacement."""
    n = len(each)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    means = counts @ each / n
    second = counts @ (each - each.mean()) ** 2 / n - (means - each.mean()) ** 2
    return means, np.sqrt(np.maximum(second, 0) / (n - 1))
