"""The engine of spacings by noise: levels of σ/α by a formula between two ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.levels import compute_v, lam_from_v
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import Spacing, SpacingName, common_options, make_spacing, resolve_spacing
from dtool.util.arrays import Array
from dtool.util.options import list_options

# How far beyond a schedule's end, in λ, a level may lie and still be that end: tables are printed with few digits.
_TOLERANCE = 1e-4

Formula = Callable[..., Array]


def noise_bounds(
    *,
    sigma_max: Annotated[
        float | None, Field(gt=0, description="σ/α to start from, in place of the schedule's noisiest")
    ] = None,
    sigma_min: Annotated[
        float | None, Field(gt=0, description="σ/α of the last level, in place of the schedule's cleanest")
    ] = None,
    over: Annotated[
        SpacingName, Field(description="a spacing by time: take both ends from its n levels, as diffusers")
    ] = "",
) -> None:
    """The ends of a spacing by noise. Levels that the schedule does not have are refused."""


def by_noise(name: str, *, cite: str = "") -> Callable[[Formula], Spacing]:
    """Make a spacing out of a formula `(u, high, low, *, …) -> σ/α`, u in [0, 1], high at u = 0 and low at u = 1."""

    def wrap(formula: Formula) -> Spacing:
        def times(schedule: Schedule, n: int, **options: Any) -> Array:
            ends = {key: options.pop(key, None) for key in _BOUNDS}
            return place_by_noise(schedule, n, lambda u, high, low: formula(u, high, low, **options), **ends)

        times.__doc__ = formula.__doc__
        return make_spacing(name, times, cite, (formula, noise_bounds, common_options))

    return wrap


_BOUNDS = tuple(list_options(noise_bounds))


def place_by_noise(
    schedule: Schedule,
    n: int,
    place: Callable[[Array, float, float], Array],
    *,
    sigma_max: float | None = None,
    sigma_min: float | None = None,
    over: str | None = None,
) -> Array:
    """`n` times placed by noise: `place(u, high, low)` gives σ/α. One time alone is the noisiest.

    A level without signal (σ/α infinite) can only be the first; the others are then placed from the next training step.
    """
    ends = resolve_spacing(over)(schedule, n)[[0, -1]] if over else np.array([schedule.T - 1.0, 0.0])
    noisy, clean = (None if end is not None else float(t) for t, end in zip(ends, (sigma_max, sigma_min), strict=True))
    silent = noisy == schedule.T - 1 and bool(np.isneginf(schedule.lam[-1]))
    if silent and n == 1:
        return np.array([schedule.T - 1.0])
    if silent:
        noisy = schedule.T - 2.0
    count = n - silent
    high = float(compute_v(*schedule.level(noisy))) if noisy is not None else float(sigma_max or 0)
    low = float(compute_v(*schedule.level(clean))) if clean is not None else float(sigma_min or 0)
    if count > 1 and not low < high:
        raise UsageError(f"from σ/α={high:.6g} to {low:.6g} the noise does not fall", "let sigma_min be the smaller")
    times = find_times(schedule, place(np.linspace(0, 1, count) if count > 1 else np.zeros(1), high, low))
    # Ends that are levels of the schedule are so exactly, whatever exp and log rounded.
    if noisy is not None:
        times[0] = noisy
    if clean is not None and count > 1:
        times[-1] = clean
    return np.concatenate([[schedule.T - 1.0], times]) if silent else times


def find_times(schedule: Schedule, v: ArrayLike) -> Array:
    """The times of these σ/α on a schedule; raises UsageError for one that it does not reach."""
    levels = np.asarray(v, dtype=np.float64)
    lam = lam_from_v(levels)
    outside = (lam > schedule.lam[0] + _TOLERANCE) | (lam < schedule.lam[-1] - _TOLERANCE)
    if outside.any() or not (levels > 0).all():
        low, high = np.exp(-schedule.lam[[0, -1]])
        raise UsageError(
            f"σ/α={levels[outside | ~(levels > 0)][0]:.6g} is not on the schedule, which has {low:.4g} to {high:.4g}",
            "choose ends within it, or another schedule",
        )
    return np.array(schedule.time(lam))
