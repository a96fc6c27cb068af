"""Certificate 6, ends: the grids on which samplers break. Finite, exactly n steps, the stated number of calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtool.plan import Plan, Recipe, grid, points_on
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import Schedule
from dtool.testing.grids import Grid
from dtool.testing.targets import THREE
from dtool.testing.walk import optimal, walk

_T = 50


@dataclass(frozen=True)
class EndCase:
    """A grid with `steps` intervals, for a network with this prediction."""

    label: str
    points: Grid
    steps: int
    prediction: Prediction


def cases(recipe: Recipe) -> list[EndCase]:
    """n = 1, 2, T and an n that does not divide T; ends at σ = 0, at σ > 0; starts at α = 0 (networks v and x0)."""
    found = []
    for levels in _schedules(recipe.scheduler):
        silent = levels.alpha[-1] == 0
        predictions: tuple[Prediction, ...] = ("v", "x0") if silent else ("eps",)
        for prediction in predictions:
            for n in sorted(k for k in {1, 2, 7, min(levels.T, _T)} if k <= levels.T):
                points = grid(levels, spacing("trailing"), n)
                found.append(EndCase(f"{levels.token}, {n} steps, {prediction}", points, n, prediction))
            if levels.T > 2:
                points = points_on(levels, [levels.T - 1, levels.T // 2], 0)
                found.append(EndCase(f"{levels.token}, to t = 0, {prediction}", points, 2, prediction))
    return found


def examine(rule: Rule, case: EndCase) -> str:
    """What is wrong on this grid, in words; "" if nothing is."""
    made = compile_plan(rule, case.points, prediction=case.prediction)
    if made.steps != case.steps:
        return f"{made.steps} steps instead of {case.steps}"
    wrong = _wrong_calls(rule, made)
    if wrong:
        return wrong
    rng = np.random.default_rng(0)
    start = THREE.std(case.points[0]) * rng.standard_normal(5)
    end = walk(made, optimal(THREE, made), start, lambda _: rng.standard_normal(5))
    return "" if np.isfinite(end).all() else "the result is not finite"


def _wrong_calls(rule: Rule, made: Plan) -> str:
    """Each interval makes `rule.calls` calls, or fewer next to σ = 0, to α = 0, and while the history is short."""
    ends = np.flatnonzero(made.step_end)
    calls = np.diff(ends, prepend=-1)
    if calls[0] > max(rule.calls, rule.startup_calls) or (calls[1:] > rule.calls).any():
        return f"{calls.max()} network calls in a step; the rule states {rule.calls}"
    settled = calls[made.history : -1]
    if (settled != rule.calls).any():
        return f"{settled.min()} network calls in a step; the rule states {rule.calls}"
    return ""


def _schedules(own: Schedule | None) -> list[Schedule]:
    if own:
        return [own]
    return [schedule(token) for token in (f"linear:T={_T}", f"linear:T={_T},zero_snr=true", "cosine", "linear:T=1")]
