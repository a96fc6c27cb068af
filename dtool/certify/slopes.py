"""How fast an error falls as the steps double."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

FLOOR, CEILING = 1e-11, 1e-3  # below: rounding; above: too coarse for the leading term to rule
FIRST, LAST, LIMIT = 64, 1024, 8192
COARSE = (8, 12, 16, 24, 32)
SETTLING, NEAR = 0.7, 0.2  # slopes settle if each change is at most so much of the last, and their limit so near


@dataclass(frozen=True)
class Slope:
    """`value`: the fitted order. `errors`: (n, error) pairs, all of them. NaN if too few lay in the window."""

    value: float
    errors: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        return "does not converge" if np.isnan(self.value) else f"{self.value:.2f}"

    @property
    def finest(self) -> float:
        """The slope between the two finest errors that can be trusted, the nearest to the limit; NaN without two."""
        window = _select_window(list(self.errors))[-2:]
        if len(window) < 2:
            return float("nan")
        (n, error), (more, less) = window
        return float(np.log(error / less) / np.log(more / n))

    @property
    def exact(self) -> bool:
        """Whether there is no error to speak of, at any n."""
        return all(error < FLOOR for _, error in self.errors)


def converged_slope(error: Callable[[int], float]) -> Slope:
    """`fit_slope`, on finer grids still where the slope goes on changing: the leading term does not rule there yet."""
    slope = fit_slope(error)
    errors = list(slope.errors)
    while errors[-1][0] < LIMIT and _is_unstable(errors):
        errors.append((2 * errors[-1][0], error(2 * errors[-1][0])))
    return slope if len(errors) == len(slope.errors) else _fit_line(errors)


def fit_slope(error: Callable[[int], float]) -> Slope:
    """The order at which `error(n)` falls: a line through those of the finest n that have it in [1e-11, 1e-3].

    It goes through three of them, or two. n doubles from 64 to 1024, further where the error is not yet below 1e-3,
    and less far where it falls below 1e-11: the last n are then closer together, since coarse grids say less.
    """
    errors: list[tuple[int, float]] = []
    n = FIRST
    while n <= LIMIT and (n <= LAST or sum(e <= CEILING for _, e in errors) < 2):
        errors.append((n, error(n)))
        stalled = n > LAST and errors[-1][1] > 0.8 * errors[-2][1]
        if stalled or errors[-1][1] < FLOOR or not np.isfinite(errors[-1][1]):
            break
        n *= 2
    n = FIRST // 2
    while n >= 8 and len(_select_window(errors)) < 2 and errors[-1][1] < FLOOR:
        errors.insert(0, (n, error(n)))
        n //= 2
    if len(_select_window(errors)) < 5 and errors[-1][1] < FLOOR:
        errors = sorted(errors + [(k + k // 2, error(k + k // 2)) for k, _ in _select_window(errors)[-2:]])
    return _fit_line(errors)


def extrapolate_slope(error: Callable[[int], float]) -> float:
    """The slope that those of the last doublings tend to (Aitken's Δ²), NaN if they do not settle.

    Where two terms of an error cancel at some n, the slopes come back from far off: they are within 0.1 of their limit
    at an n where the error is below rounding.
    """
    errors = [error(LIMIT // 2**k) for k in (3, 2, 1, 0)]
    if not all(FLOOR <= e <= CEILING for e in errors):
        return float("nan")
    first, second, last = (float(np.log2(one / other)) for one, other in pairwise(errors))
    before, after = second - first, last - second
    settles = 0 < after / before < SETTLING if before else False
    limit = last + after * after / (before - after) if settles else float("nan")
    return limit if abs(limit - last) < NEAR else float("nan")


def fit_power(error: Callable[[int], float]) -> Slope:
    """The order of an error that is one power of n already on coarse grids."""
    return _fit_line([(n, error(n)) for n in COARSE])


def _fit_line(errors: list[tuple[int, float]]) -> Slope:
    window = _select_window(errors)[-3:]
    if len(window) < 2:
        return Slope(float("nan"), tuple(errors))
    log_n, log_e = np.log2([k for k, _ in window]), np.log2([e for _, e in window])
    return Slope(float(-np.polyfit(log_n, log_e, 1)[0]), tuple(errors))


def _is_unstable(errors: list[tuple[int, float]]) -> bool:
    """Whether the last two slopes, over doublings, are more than 0.05 apart, and finer errors can still be trusted."""
    last = errors[-3:]
    if (
        len(_select_window(last)) < 3
        or any(other[0] != 2 * one[0] for one, other in pairwise(last))
        or last[-1][1] < 1e3 * FLOOR
    ):
        return False
    slopes = [float(np.log2(one[1] / other[1])) for one, other in pairwise(last)]
    return abs(slopes[1] - slopes[0]) > 0.05


def _select_window(errors: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Those that can be trusted."""
    return [(n, e) for n, e in errors if FLOOR <= e <= CEILING]
