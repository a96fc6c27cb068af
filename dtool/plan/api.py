"""dtool.plan(...): from a recipe to a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Protocol

from dtool.errors import UsageError, format_value
from dtool.guidances.guidance import Guidance
from dtool.plan.compiled_plan import Plan
from dtool.plan.compiler import compile as compile_
from dtool.plan.foreign import AdoptionRequest, ForeignRule
from dtool.plan.guiding import guide
from dtool.plan.late_start import cut_grid, find_steps, take_late_part
from dtool.plan.point import Point, grid, points_on
from dtool.plan.prediction import adapt_to_network
from dtool.plan.recipe import DEFAULT_SPACING, Recipe
from dtool.plan.saved import take_saved
from dtool.samplers.rule import Prediction
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing
from dtool.spacings.spacing import Spacing
from dtool.util.arguments import check_arguments

DEFAULT_STEPS = 50
MAX_PLAN_STEPS = 10**9  # More than any schedule has.


class HasSchedule(Protocol):
    """What `plan` needs to know of a network."""

    @property
    def schedule(self) -> Schedule:
        """The training schedule."""

    @property
    def prediction(self) -> Prediction:
        """What the output means."""


@check_arguments
def plan(
    recipe: str | Recipe,
    *,
    steps: int | None = None,
    scheduler: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    points: Sequence[float | Point] | None = None,
    end: float | Point | None = None,
    strength: float = 1.0,
    network: HasSchedule | None = None,
    prediction: Prediction | None = None,
    guidance: str | Guidance | None = None,
    **options: Any,
) -> Plan:
    """Compile a recipe, e.g. `plan("dpmpp-2m", scheduler="cosine", spacing="karras", steps=20)`.

    recipe: "SAMPLER[:k=v][@SCHEDULER[:k=v]][/SPACING[:k=v]][~GUIDANCE]", or a saved plan's file, "five.json";
    `scheduler`, `spacing`, `guidance` and the sampler's `options` may be given separately. steps: 1 … T, default 50.
    points: your own grid instead: training times, from noise to image, or Points. end: where it ends, a time or a Point
    (default: the clean image). strength: in 0 … 1, the share of these steps that are taken, the last ones: for a run
    that begins at an image with the noise of the first of them. network: the plan is made for its schedule and
    prediction; without one, for the plan's own schedule (default "linear") and `prediction` (default eps).
    An inverse rule walks the same grid backwards: the plan then starts where it would have ended.
    Raises UsageError for what is unknown, specified twice or impossible.

    >>> plan = dtool.plan("ddim:eta=0.5@cosine", steps=4)
    >>> plan.recipe, plan.rows, plan.alpha.round(3).tolist()
    ('ddim:eta=0.5@cosine', 4, [0.0, 0.38, 0.703, 0.92])
    """
    if network is not None and not (hasattr(network, "schedule") and hasattr(network, "prediction")):
        raise UsageError(
            f"network={format_value(network)} is no network", "give one that dtool.load or dtool.network made"
        )
    whole = (recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)).complete(scheduler, spacing, **options)
    whole = whole.add_guidance(guidance)
    if network is not None and prediction is not None:
        raise UsageError("the network says what it predicts", "leave out prediction=")
    if isinstance(whole.rule, ForeignRule) and whole.rule.saved is not None:
        grid_words: dict[str, Any] = {
            "points": points,
            "end": end,
            "a spacing": whole.spacing,
            "a schedule": whole.scheduler,
        }
        compiled = take_saved(whole.rule, steps=steps, strength=strength, **grid_words)
    elif isinstance(whole.rule, ForeignRule) and whole.rule.own_grid:
        if points is not None or end is not None or whole.spacing is not None:
            raise UsageError(f"{whole.rule.token} has levels of its own", "leave out points, end and spacing")
        compiled = _adopt_grid(whole, steps or DEFAULT_STEPS, strength, network, prediction)
    else:
        levels = whole.scheduler or (network.schedule if network else get_scheduler("linear"))
        grid_points = _make_grid(whole, levels, steps, points, end)
        late = grid_points if strength == 1 else cut_grid(grid_points, strength)
        skipped = len(find_steps(grid_points)) - len(find_steps(late))
        compiled = _compile_grid(whole, levels, late, network, prediction, skipped)
    if whole.guidance is not None:
        compiled = guide(compiled, whole.guidance)
    return compiled if network is None else adapt_to_network(compiled, network.schedule, network.prediction)


def _make_grid(
    recipe: Recipe, levels: Schedule, steps: int | None, points: Any, end: float | Point | None
) -> tuple[Point, ...]:
    """The grid: the caller's points, or those of the recipe's spacing."""
    if points is not None:
        points = _to_list(points)
        if recipe.spacing is not None or (steps is not None and steps != len(points)):
            raise UsageError("points are given, and a spacing or another number of steps too", "give one of them")
        return _make_own_grid(levels, points, end)
    chosen = recipe.spacing or _make_default_spacing()
    grid_points = grid(levels, chosen, DEFAULT_STEPS if steps is None else steps)
    return grid_points if end is None else (*grid_points[:-1], *points_on(levels, [], end))


def _compile_grid(
    recipe: Recipe, levels: Schedule, points: tuple[Point, ...], network: HasSchedule | None,
    prediction: Prediction | None, skipped: int,
) -> Plan:  # fmt: skip
    """The rule's plan on these points, without guidance: `guide` adds what it writes into the rows."""
    unguided = str(replace(recipe, guidance=None))
    analytic = recipe.spacing is not None and recipe.spacing.is_analytic and skipped == 0
    if isinstance(recipe.rule, ForeignRule):
        if analytic:
            raise UsageError(f"{recipe.rule.token} makes its own first call", "leave out first=analytic")
        request = AdoptionRequest(steps=len(points) - 1, points=points, schedule=levels)
        return replace(recipe.rule.adopt(recipe.rule, request).plan, recipe=unguided)
    own_prediction = prediction or "eps"
    # x0 is finite wherever there is noise; what this network predicts is filled in for it.
    if network is not None:
        own_prediction = network.prediction if recipe.rule.inverse else "x0"
    return compile_(recipe.rule, points, prediction=own_prediction, schedule=levels, recipe=unguided, skipped=skipped,
                    analytic_start=analytic)  # fmt: skip


def _adopt_grid(
    recipe: Recipe, steps: int, strength: float, network: HasSchedule | None, prediction: Prediction | None
) -> Plan:
    """The plan of another library's sampler that makes its own grid, its last part if it begins late."""
    assert isinstance(recipe.rule, ForeignRule), "who asks has looked"
    levels = recipe.scheduler or (network.schedule if network else None)
    wanted = network.prediction if network else prediction
    request = AdoptionRequest(steps=steps, schedule=levels, prediction=wanted)
    adopted = replace(recipe.rule.adopt(recipe.rule, request).plan, recipe=str(replace(recipe, guidance=None)))
    return take_late_part(adopted, strength)


def _to_list(points: Any) -> list[float | Point]:
    """The user's own grid as a list of Python's numbers, or of Points."""
    refused = UsageError(f"points={format_value(points)} is not a list of times", "write it as [999, 750, 500, 250]")
    if isinstance(points, (str, bytes, Mapping, AbstractSet)) or not hasattr(points, "__len__"):
        raise refused
    values = [p.item() if getattr(p, "shape", None) == () and hasattr(p, "item") else p for p in points]
    if not values or not all(isinstance(p, (int, float, Point)) and not isinstance(p, bool) for p in values):
        raise refused
    if any(isinstance(p, int) and abs(p) > MAX_PLAN_STEPS for p in values):
        raise refused
    return values


def _make_own_grid(levels: Schedule, points: Sequence[float | Point], end: float | Point | None) -> tuple[Point, ...]:
    if all(isinstance(p, Point) for p in points):
        grid_points = tuple(p for p in points if isinstance(p, Point))
        return (
            (*grid_points, *points_on(levels, [], end)) if end is not None or grid_points[-1].sigma > 0 else grid_points
        )
    if any(isinstance(p, Point) for p in points):
        raise UsageError("points mixes times and Points", "give one kind")
    return points_on(levels, [float(p) for p in points if not isinstance(p, Point)], end)


def _make_default_spacing() -> Spacing:
    return get_spacing(DEFAULT_SPACING)
