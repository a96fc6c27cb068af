"""A plan that begins late: at a noised image instead of noise, with only the last of a grid's steps before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import floor, hypot
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.plan.compiled_plan import COLUMNS, Plan
from dtool.plan.point import Point

ROUNDING = 1e-9  # 0.29 · 100 steps are 29, though their product is 28.999…


def count_late_steps(steps: int, strength: float) -> int:
    """How many of the grid's steps are taken at this strength, at least one: ⌊strength · steps⌋, as in diffusers.

    Raises UsageError for a strength outside 0 … 1, and for one that leaves no step.
    """
    check_strength(strength)
    taken = floor(strength * steps + ROUNDING)
    if taken < 1:
        raise UsageError(
            f"strength {strength:g} of {steps} step{'s' * (steps != 1)} is none of them",
            f"use {1 / steps:.3g} or more, or more steps",
        )
    return taken


def check_strength(strength: float) -> None:
    """Raise UsageError unless the strength lies in 0 … 1."""
    if not 0 <= strength <= 1:
        raise UsageError(f"strength {strength:g} is not between 0 and 1", "0 is the image as it is, 1 begins at noise")


def cut_grid(points: Sequence[Point], strength: float) -> tuple[Point, ...]:
    """The last part of a grid: the steps that are taken at this strength, and where it goes up between them."""
    steps = find_steps(points)
    return tuple(points[steps[-count_late_steps(len(steps), strength)] :])


def find_steps(points: Sequence[Point]) -> list[int]:
    """The points of a grid at which a step towards the image begins."""
    return [i for i, (now, to) in enumerate(pairwise(points)) if to.lam >= now.lam]


def take_late_part(plan: Plan, strength: float) -> Plan:
    """The last part of a plan that no rule makes again; raises UsageError if its rows use those before them."""
    late = plan if strength == 1 else cut_plan(plan, strength)
    if late is None:
        raise UsageError(
            f"the rows of {plan.recipe} use those before them: it cannot begin late", "use a sampler of one step"
        )
    return late


def find_first_row(plan: Plan, strength: float) -> int:
    """The row of a plan at which a run of this strength begins."""
    return int(plan.step_starts[plan.steps - count_late_steps(plan.steps, strength)])


def cut_plan(plan: Plan, strength: float) -> Plan | None:
    """The last rows of a plan, as they are; None if they use what earlier ones have left: a prediction, a saved x."""
    first = find_first_row(plan, strength)
    for weights in (plan.b, plan.b_without):
        row, back = np.nonzero(weights[first:])
        if (back > row).any():
            return None
    if ((plan.a_saved[first:] != 0) & (np.cumsum(plan.save[first:]) == 0)).any():
        return None
    columns: dict[str, Any] = {name: getattr(plan, name)[first:] for name in COLUMNS}
    return replace(plan, init=hypot(plan.alpha[first], plan.sigma[first]), **columns)
