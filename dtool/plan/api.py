"""dtool.plan(...): from a recipe to a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from dtool.arguments import checks_arguments
from dtool.errors import UsageError, shown
from dtool.plan.compiler import compile as compile_
from dtool.plan.plan import Plan
from dtool.plan.point import Point, grid, points_on
from dtool.plan.prediction import for_network
from dtool.plan.recipe import DEFAULT_SPACING, Recipe
from dtool.samplers.rule import Prediction
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import Schedule
from dtool.schedulers.spacing import Spacing

DEFAULT_STEPS = 50
MOST_STEPS = 10**9  # beyond what any schedule has


class HasSchedule(Protocol):
    """What `plan` wants to know of a network."""

    @property
    def schedule(self) -> Schedule:
        """The training schedule."""

    @property
    def prediction(self) -> Prediction:
        """What the output means."""


@checks_arguments
def plan(
    recipe: str | Recipe,
    *,
    steps: int | None = None,
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float | Point] | None = None,
    end: float | Point | None = None,
    network: HasSchedule | None = None,
    prediction: Prediction | None = None,
    **options: Any,
) -> Plan:
    """Compile a recipe, e.g. `plan("dpmpp-2m", scheduler="cosine", spacing="karras", steps=20)`.

    recipe: "SAMPLER[:k=v][@SCHEDULER[:k=v]][/SPACING[:k=v]]"; `scheduler`, `spacing` and the sampler's `options` may be
    given apart. steps: 1 … T, default 50. points: your own grid instead: training times, from noise to image, or
    Points. end: where it ends, a time or a Point (default: the clean image). network: the plan is made for its
    schedule and prediction; without one, for the plan's own schedule (default "linear") and `prediction` (default eps).
    An inverse rule walks the same grid backwards: the plan then starts where it would have ended.
    Raises UsageError for what is unknown, said twice or cannot be had.
    """
    if network is not None and not (hasattr(network, "schedule") and hasattr(network, "prediction")):
        raise UsageError(f"network={shown(network)} is no network", "give one that dtool.load or dtool.network made")
    wanted = (recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)).where(scheduler, spacing, **options)
    levels = wanted.scheduler or (network.schedule if network else schedule("linear"))
    if points is not None:
        points = _listed(points)
        if wanted.spacing is not None or (steps is not None and steps != len(points)):
            raise UsageError("points are given, and a spacing or another number of steps too", "give one of them")
        spots = _own_grid(levels, points, end)
    else:
        place = wanted.spacing or _default_spacing()
        count = DEFAULT_STEPS if steps is None else steps
        spots = grid(levels, place, count)
        if end is not None:
            spots = (*spots[:-1], *points_on(levels, [], end))
    own = prediction or "eps"
    if network is None:
        return compile_(wanted.rule, spots, prediction=own, schedule=levels, recipe=str(wanted))
    if prediction is not None:
        raise UsageError("the network says what it predicts", "leave out prediction=")
    # x0 is finite wherever there is noise; what this network predicts is filled in for it.
    first = network.prediction if wanted.rule.inverse else "x0"
    made = compile_(wanted.rule, spots, prediction=first, schedule=levels, recipe=str(wanted))
    return for_network(made, network.schedule, network.prediction)


def _listed(points: Any) -> list[float | Point]:
    """The user's own grid as a list of Python's numbers, or of Points."""
    refused = UsageError(f"points={shown(points)} is not a list of times", "write it as [999, 750, 500, 250]")
    if isinstance(points, (str, bytes, Mapping, AbstractSet)) or not hasattr(points, "__len__"):
        raise refused
    found = [p.item() if getattr(p, "shape", None) == () and hasattr(p, "item") else p for p in points]
    if not found or not all(isinstance(p, (int, float, Point)) and not isinstance(p, bool) for p in found):
        raise refused
    if any(isinstance(p, int) and abs(p) > MOST_STEPS for p in found):
        raise refused
    return found


def _own_grid(levels: Schedule, points: Sequence[float | Point], end: float | Point | None) -> tuple[Point, ...]:
    if all(isinstance(p, Point) for p in points):
        spots = tuple(p for p in points if isinstance(p, Point))
        return (*spots, *points_on(levels, [], end)) if end is not None or spots[-1].sigma > 0 else spots
    if any(isinstance(p, Point) for p in points):
        raise UsageError("points mixes times and Points", "give one kind")
    return points_on(levels, [float(p) for p in points if not isinstance(p, Point)], end)


def _default_spacing() -> Spacing:
    return spacing(DEFAULT_SPACING)
