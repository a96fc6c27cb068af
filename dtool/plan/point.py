"""Where a sampler stands: a level of noise, and the node that a network call makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log, nan
from typing import Any

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule
from dtool.schedulers.spacing import Spacing


@dataclass(frozen=True, slots=True)
class Point:
    """A noise level `x = alpha·x0 + sigma·ε`; `t` is its time on the schedule, NaN if it has none (the clean end).

    `lam` = log(alpha/sigma): +∞ for the image itself, -∞ where there is no signal. `schedule`: the one that `t` counts
    on, None if it is not known; a rule may look up another time on it.
    """

    alpha: float
    sigma: float
    t: float = nan
    schedule: Schedule | None = field(default=None, repr=False, compare=False)
    lam: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not (0 <= self.alpha < inf and 0 <= self.sigma < inf and self.alpha + self.sigma > 0):
            raise UsageError(
                f"no noise level: alpha={self.alpha}, sigma={self.sigma}", "both are finite and at least 0"
            )
        low = log(self.alpha) if self.alpha > 0 else -inf
        object.__setattr__(self, "lam", inf if self.sigma == 0 else low - log(self.sigma))

    @property
    def v(self) -> float:
        """σ/α, the noise level in units of the image: +∞ where there is no signal."""
        return self.sigma / self.alpha if self.alpha > 0 else inf


CLEAN = Point(1.0, 0.0)


class Node:
    """A point at which the network was called: what a rule sees as `now`, `now.before` and `mid`.

    `x`, `x0`, `eps`, `z` are symbols while a plan is compiled, and arrays `(B, *)` when the rule is run step by step.
    At least one of `x0` and `eps` is given; the other follows from x = α·x0 + σ·ε.
    """

    __slots__ = ("_eps", "_kept", "_x0", "alpha", "before", "lam", "point", "sigma", "x", "z")

    def __init__(self, point: Point, x: Any, *, x0: Any = None, eps: Any = None, z: Any = None) -> None:
        self.point = point
        self.alpha, self.sigma, self.lam = point.alpha, point.sigma, point.lam
        self.x, self._x0, self._eps, self.z = x, x0, eps, z
        self.before: Node | None = None
        self._kept: dict[str, Any] | None = None

    @property
    def x0(self) -> Any:
        """The image that the network's output predicts."""
        if self._x0 is None:
            self._x0 = (self.x - self.sigma * self._eps) / self.alpha
        return self._x0

    @property
    def eps(self) -> Any:
        """The noise that the network's output predicts."""
        if self._eps is None:
            self._eps = (self.x - self.alpha * self._x0) / self.sigma
        return self._eps

    @property
    def t(self) -> float:
        """The point's time on the schedule."""
        return self.point.t

    @property
    def v(self) -> float:
        """σ/α, the noise level in units of the image."""
        return self.point.v

    @property
    def kept(self) -> dict[str, Any]:
        """What `keep` left here."""
        return self._kept or {}

    def keep(self, **values: Any) -> None:
        """Leave values to the next interval, which finds them in `now.before.kept`."""
        self._kept = {**self.kept, **values}


def points_on(schedule: Schedule, times: Sequence[float], end: Point | float | None = None) -> tuple[Point, ...]:
    """The grid at these times, and then `end`: the clean image (None), a time, or a point of your own."""
    alpha, sigma = schedule.level(times)
    grid = [Point(float(a), float(s), float(t), schedule) for a, s, t in zip(alpha, sigma, times, strict=True)]
    if end is None:
        return (*grid, CLEAN)
    if isinstance(end, Point):
        return (*grid, end)
    return (*grid, *points_on(schedule, [end])[:1])


def grid(schedule: Schedule, spacing: Spacing, steps: int) -> tuple[Point, ...]:
    """The `steps` points of a spacing on a schedule, then the clean image: steps + 1 points."""
    return points_on(schedule, [float(t) for t in spacing(schedule, steps)])
