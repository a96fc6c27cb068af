"""What a spacing is: (schedule, n) → the n times at which the network is called, from noise to image."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel

from dtool.errors import UsageError
from dtool.options import checked, options_of, written
from dtool.schedulers.schedule import Array, Schedule


@dataclass(frozen=True)
class Spacing:
    """A registered spacing with its options bound. Calling it gives times, float64 `(n,)`, strictly falling."""

    name: str
    function: Callable[..., ArrayLike]
    cite: str
    model: type[BaseModel] = field(repr=False)
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def token(self) -> str:
        """The spacing as it is written in a recipe."""
        return written(self.name, self.model, dict(self.options))

    def bind(self, **options: Any) -> Spacing:
        """The same spacing with these options; raises UsageError for what it does not have."""
        values = checked(self.name, self.model, options)
        return Spacing(self.name, self.function, self.cite, self.model, tuple(values.items()))

    def __call__(self, schedule: Schedule, n: int) -> Array:
        """Exactly `n` times in [0, T-1], strictly falling.

        Raises UsageError if `n` is not in 1 … T, or if this spacing cannot place n points.
        """
        if not 1 <= n <= schedule.T:
            raise UsageError(
                f"{n} steps cannot be had from a schedule of {schedule.T}", f"choose 1 to {schedule.T} steps"
            )
        times = np.asarray(self.function(schedule, n, **dict(self.options)), dtype=np.float64)
        if times.shape != (n,) or not np.isfinite(times).all() or (np.diff(times) >= 0).any():
            raise UsageError(
                f"spacing {self.token} gives no {n} falling times on {schedule.token or 'this schedule'}",
                "use fewer steps or another spacing",
            )
        return times


def spacing(name: str, *, cite: str = "") -> Callable[[Callable[..., ArrayLike]], Spacing]:
    """Make a spacing out of `(schedule, n, *, …) -> n falling times`; its keyword-only parameters are options."""

    def wrap(function: Callable[..., ArrayLike]) -> Spacing:
        model = options_of(function)
        defaults = {k: f.default for k, f in model.model_fields.items() if not f.is_required()}
        return Spacing(name, function, cite, model, tuple(defaults.items()))

    return wrap


def rounded(numerator: int, denominator: int) -> int:
    """numerator/denominator to the nearest whole number, halves to even: exact, where floats are not."""
    whole, rest = divmod(2 * numerator + denominator, 2 * denominator)
    return whole - 1 if rest == 0 and whole % 2 else whole


def by_noise(schedule: Schedule, n: int, place: Callable[[Array, float, float], Array]) -> Array:
    """`n` times placed by noise level: `place(u, λ_noisy, λ_clean)` gives λ at u in [0, 1].

    A level without signal (λ = -∞) can only be the first; the others are then placed from the next training step.
    """
    if n == 1:
        return np.array([schedule.T - 1.0])
    silent = bool(np.isneginf(schedule.lam[-1]))
    count = n - silent
    start = schedule.lam[-2] if silent else schedule.lam[-1]
    u = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
    times = schedule.time(place(u, float(start), float(schedule.lam[0])))
    # The ends are levels of the schedule: exactly so, whatever exp and log rounded.
    times[0] = schedule.T - 1 - silent
    if count > 1:
        times[-1] = 0.0
    return np.concatenate([[schedule.T - 1.0], times]) if silent else times
