"""Distances between images drawn from the same noise, with intervals over the images: pairs, so that few suffice."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, log10, pi, sqrt
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.measure.bootstrap import influence_interval, root_mean_interval
from dtool.util.arrays import Array

MARGIN = 10  # an error is judged if it is so many times the reference's own


@dataclass(frozen=True, kw_only=True)
class SolverErrorEstimate:
    """How far images are from the converged solution of the same ODE, from the same noise.

    `rmse`: root mean square over images and pixels, in the data's units; `low`, `high`: its 95 % interval over the
    choice of images (None for one image). `psnr`: 20·log10(width of the data's range / rmse) in dB, None for rmse 0.
    `own`: the reference's own error; `judged`: whether rmse is at least ten times that. Where it is not, all that rmse
    says is that the error is of this size or less.
    """

    rmse: float
    psnr: float | None
    low: float | None
    high: float | None
    judged: bool
    own: float


@dataclass(frozen=True)
class ErrorDifference:
    """rmse of one recipe less that of another, from the same noise, with its 95 % interval over the images.

    `apart`: whether the interval excludes 0. Positive: the first is worse.
    """

    value: float
    low: float
    high: float
    apart: bool


def squared_errors(images: Any, solution: Any) -> Array:
    """The mean square difference of each image, `(n,)`, from arrays `(n, *shape)`."""
    a, b = np.asarray(images, dtype=np.float64), np.asarray(solution, dtype=np.float64)
    if a.shape != b.shape:
        raise UsageError(f"images of shape {a.shape} against a solution of shape {b.shape}", "draw the same images")
    return np.asarray(((a - b) ** 2).reshape(len(a), -1).mean(axis=1))


def measure_error(
    images: Any, solution: Any, own: float, data_range: tuple[float, float], seed: int = 0
) -> SolverErrorEstimate:
    """The error of images `(n, *shape)` relative to the solution's, whose own error is `own`."""
    each = squared_errors(images, solution)
    rmse = sqrt(each.mean())
    psnr = 20 * log10((data_range[1] - data_range[0]) / rmse) if rmse > 0 else None
    low, high = root_mean_interval(each, seed)
    return SolverErrorEstimate(rmse=rmse, psnr=psnr, low=low, high=high, judged=rmse >= MARGIN * own, own=own)


def error_difference(first: Any, second: Any, solution: Any, seed: int = 0) -> ErrorDifference:
    """How much further from the solution `first` is than `second`: all arrays `(n, *shape)`, n at least 2.

    The interval is that of Σ ψ_i/n with ψ_i the influence of image i on the difference of the two roots, studentised.
    """
    a, b = squared_errors(first, solution), squared_errors(second, solution)
    if len(a) < 2:
        raise UsageError("one image gives a difference no interval", "draw 2 or more")
    root_a, root_b = sqrt(a.mean()), sqrt(b.mean())
    influence = a / (2 * root_a or 1.0) - b / (2 * root_b or 1.0)
    value = root_a - root_b
    low, high = influence_interval(value, influence, seed)
    return ErrorDifference(value, low, high, not low <= 0 <= high)


def paired_p_value(first: Any, second: Any, solution: Any) -> float:
    """p of the hypothesis that two recipes' images are equally far from the solution: arrays `(n, *shape)`.

    Student's t-test, two-sided, of the mean of log(a_i/b_i), a_i and b_i the square errors of image i: errors are
    skewed and in proportion to each other, their ratio's logarithm is neither. 1 for a single image.
    """
    tiny = np.finfo(np.float64).tiny
    ratio = np.log(squared_errors(first, solution) + tiny) - np.log(squared_errors(second, solution) + tiny)
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
