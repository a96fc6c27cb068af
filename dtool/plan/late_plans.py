"""A plan at every strength: what a run takes of it that begins at a noised image, and all of that as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.plan.api import HasSchedule
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.late_start import cut_plan
from dtool.plan.packed import ALWAYS, EDIT_COLUMNS, PackedPlan, Room, pack
from dtool.plan.recipe import parse_recipe_of_file

ROUNDING = 2e-7  # of a strength in float32: 0.29 is 0.28999999
Tell = Callable[[Column], Column]


def start_late(network: HasSchedule, plan: Plan, strength: float) -> Plan:
    """The plan of the steps that are taken at this strength, above 0.

    Its last rows, where they use nothing of the earlier ones; else it is compiled again, so that a method of several
    steps begins there as it does at noise. Raises UsageError for a plan that its recipe does not make again.
    """
    if strength == 1:
        return plan
    late = _cut(plan, strength)
    if late is not None:
        return late
    _require_recipe(network, plan)
    return _compile(network, plan, strength)


def iterate_late_plans(network: HasSchedule, plan: Plan) -> Iterator[Plan]:
    """The plans of 1, 2, … steps and of all of them, as `start_late` makes them; raises what that raises."""
    checked = False
    for taken in range(1, plan.steps):
        late = _cut(plan, taken / plan.steps)
        if late is None and not checked:
            _require_recipe(network, plan)
            checked = True
        yield _compile(network, plan, taken / plan.steps) if late is None else late
    yield plan


def _cut(plan: Plan, strength: float) -> Plan | None:
    if plan.inverse:
        raise UsageError(f"{plan.recipe} leads from an image to its noise", "give the image: x=, of shape (B, *shape)")
    return cut_plan(plan, strength)


def _require_recipe(network: HasSchedule, plan: Plan) -> None:
    if plan.fit is not None:
        raise UsageError(f"{plan.recipe} was fitted to begin at noise, and not at an image", "name another sampler")
    if make_plan(parse_recipe_of_file(plan.recipe, "the plan"), steps=plan.steps, network=network) != plan:
        raise UsageError(
            f"the rows of {plan.recipe} use those before them, and its recipe makes another plan",
            "make the plan for it: dtool.plan(…, strength=), or use a sampler of one step",
        )


def _compile(network: HasSchedule, plan: Plan, strength: float) -> Plan:
    recipe = parse_recipe_of_file(plan.recipe, "the plan")
    return make_plan(recipe, steps=plan.steps, network=network, strength=strength)


@dataclass
class _Variant:
    """The rows of one step `(rows, columns + 1)`, as the runs of `first` to `last` steps have them."""

    rows: NDArray[np.float32]
    first: int
    last: int


def pack_at_every_strength(network: HasSchedule, plan: Plan, limited: bool, room: Room, tell: Tell) -> PackedPlan:
    """The plan as one table for every strength, each row with those at which it is run.

    A run takes, in order, the rows with from ≤ strength < to; what the plans of several strengths have alike is there
    once. network: what the plan was made for. tell: times of a plan ↦ what the network is told. Raises what `pack` and
    `start_late` raise.
    """
    count = plan.steps
    steps: list[list[_Variant]] = [[] for _ in range(count)]
    for taken, late in enumerate(iterate_late_plans(network, plan), 1):
        packed = pack(late, limited, room, times=tell(late.time))
        rows = np.concatenate([packed.table, packed.times[:, None]], axis=1)
        for variants, own in zip(steps[count - taken :], np.split(rows, late.step_starts[1:]), strict=True):
            if variants and variants[-1].last == taken - 1 and np.array_equal(variants[-1].rows, own):
                variants[-1].last = taken
            else:
                variants.append(_Variant(own, taken, taken))
    first, end = (room.columns.index(name) for name in EDIT_COLUMNS[-2:])
    parts = []
    for variant in (each for variants in steps for each in variants):
        part = variant.rows.copy()
        part[:, first] = variant.first / count - ROUNDING
        part[:, end] = ALWAYS[1] if variant.last == count else (variant.last + 1) / count - ROUNDING
        parts.append(part)
    whole = np.concatenate(parts)
    return PackedPlan(np.ascontiguousarray(whole[:, :-1]), whole[:, -1].copy(), np.float32(plan.init))
