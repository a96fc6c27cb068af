"""Where a sampler stands: a level of noise, and the node that a network call makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf, log, nan
from typing import Any, NamedTuple

from dtool.errors import CompileError, UsageError
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import Spacing


@dataclass(frozen=True, slots=True)
class Point:
    """A noise level `x = alpha·x0 + sigma·ε`; `t` is its time on the schedule, NaN if it has none (the clean end).

    `lam` = log(alpha/sigma): +∞ for the image itself, -∞ where there is no signal. `schedule`: the one that `t` counts
    on, None if it is not known; a rule may look up another time on it.

    >>> dtool.Point(alpha=0.6, sigma=0.3).v
    0.5
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
MANY = 10**9  # steps: of a node that is in no grid


class Interval(NamedTuple):
    """An interval of a grid, `place` steps after its beginning or a jump, with `left` more to come; upward: a jump."""

    now: Point
    to: Point
    place: int
    left: int
    upward: bool


class Node:
    """A point at which the network was called: what a rule sees as `now`, `now.before` and `mid`.

    `x`, `x0`, `eps`, `z` are symbols while a plan is compiled, and arrays `(B, *)` when the rule is run step by step.
    At least one of `x0` and `eps` is given; the other follows from x = α·x0 + σ·ε. `index` and `left`: how many steps
    come before the one that begins here, since the grid began or last went up, and how many after it.

    >>> now = dtool.plan.Node(dtool.Point(0.6, 0.8), x=1.0, eps=0.5)
    >>> round(now.x0, 3)
    1.0
    """

    __slots__ = (
        "_eps", "_kept", "_without", "_x0", "alpha", "before", "index", "lam", "left", "point", "sigma", "spread", "x",
        "z",
    )  # fmt: skip

    def __init__(
        self, point: Point, x: Any, *, x0: Any = None, eps: Any = None, z: Any = None, without: Node | None = None
    ) -> None:
        self.point = point
        self.alpha, self.sigma, self.lam = point.alpha, point.sigma, point.lam
        self.x, self._x0, self._eps, self.z = x, x0, eps, z
        self.before: Node | None = None
        self.index, self.left = 0, MANY
        self.spread: float = 1.0
        self._kept: dict[str, Any] | None = None
        self._without = without

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
    def without(self) -> Node:
        """The node as the network sees it without the conditions: `x0`, `eps`; `x0` and `eps` here are guided.

        The node itself where there is no guidance.
        """
        return self if self._without is None else self._without

    @property
    def raw_eps(self) -> Any:
        """The noise that the network's output predicts before its image is clipped; `eps` follows from the clipped."""
        return self.eps

    def noise(self, low: float, high: float) -> Any:
        """z with a standard deviation that the network chooses, number by number: low^(1-f)·high^f, 0 ≤ f ≤ 1.

        f is the second half of a network's output that predicts a variance too (`NetworkSpec.learned_variance`), from
        [-1, 1]; run step by step on arrays, without such an output, f is 1.
        """
        self.spread = low / high if high else 1.0
        return high * self.z

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
    """The grid at these times, and then `end`: the clean image (None), a time, or a point of your own.

    >>> points = dtool.plan.points_on(dtool.get_scheduler("linear"), [999, 500, 0])
    >>> [round(point.alpha, 3) for point in points]
    [0.006, 0.279, 1.0, 1.0]
    """
    alpha, sigma = schedule.level(times)
    grid = [Point(float(a), float(s), float(t), schedule) for a, s, t in zip(alpha, sigma, times, strict=True)]
    if end is None:
        return (*grid, CLEAN)
    if isinstance(end, Point):
        return (*grid, end)
    return (*grid, *points_on(schedule, [end])[:1])


def grid(schedule: Schedule, spacing: Spacing, steps: int) -> tuple[Point, ...]:
    """The points of a spacing on a schedule, then its end (the clean image unless the spacing has another).

    These are steps + 1 points, or more if the spacing goes up again.

    >>> points = dtool.plan.grid(dtool.get_scheduler("linear"), dtool.get_spacing("trailing"), 2)
    >>> [(point.t, round(point.sigma, 3)) for point in points]
    [(999.0, 1.0), (499.0, 0.96), (nan, 0.0)]
    """
    times, network_times, end = spacing.place_times(schedule, steps)
    points = points_on(schedule, [float(t) for t in times], end)
    return (*(replace(p, t=float(t)) for p, t in zip(points, network_times, strict=False)), points[-1])


def order_points(points: Sequence[Point], *, inverse: bool) -> tuple[Point, ...]:
    """The grid in the order in which a rule walks it: an inverse one goes from image to noise, however it is listed.

    Only the last step may have no length. Raises CompileError for a grid that cannot be walked.
    """
    if len(points) < 2:
        raise CompileError(f"a grid of {len(points)} point(s) has no interval", "give at least two points")
    for i, (now, to) in enumerate(pairwise(points)):
        if now.lam == to.lam and (inverse or not 0 < i == len(points) - 2):
            raise CompileError(
                f"points {i} and {i + 1} are the same level (λ={now.lam:.6g})", "give each level once in a row"
            )
    if inverse:
        rising = points if points[-1].lam < points[0].lam else points[::-1]
        if any(to.lam > now.lam for now, to in pairwise(rising)):
            raise CompileError("the grid turns round, and an inversion goes from image to noise", "leave out the turn")
        return tuple(rising)
    if points[1].lam < points[0].lam:
        raise CompileError("the grid begins by going up", "list the points from noise to image")
    if points[-1].lam < points[-2].lam:
        raise CompileError("the grid ends by going up", "list the points from noise to image, the end last")
    return tuple(points)


def iterate_intervals(points: Sequence[Point], *, inverse: bool, skipped: int = 0) -> Iterator[Interval]:
    """The intervals of a grid in the order in which it is walked; `skipped` of its steps are not in `points`."""
    upward = [to.lam < now.lam and not inverse for now, to in pairwise(points)]
    place, left = skipped, upward.count(False)
    for (now, to), up in zip(pairwise(points), upward, strict=True):
        left -= not up
        yield Interval(now=now, to=to, place=place, left=left, upward=up)
        place = 0 if up else place + 1
