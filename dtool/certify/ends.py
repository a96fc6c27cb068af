"""Certificate 6, ends: the grids on which samplers break. Finite, exactly n steps, the stated number of calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtool.certify.grids import Grid
from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.plan import Plan, Recipe, grid, points_on
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing

_T = 50


@dataclass(frozen=True)
class EndCase:
    """A grid with `steps` intervals, for a network with this prediction."""

    label: str
    points: Grid
    steps: int
    prediction: Prediction


def make_cases(recipe: Recipe) -> list[EndCase]:
    """n = 1, 2, T and an n that does not divide T; ends at σ = 0, at σ > 0, after a step of no length; starts at α = 0.

    At α = 0 of networks v and x0.
    """
    cases = []
    for levels in _choose_schedules(recipe.scheduler):
        silent = levels.alpha[-1] == 0
        predictions: tuple[Prediction, ...] = ("v", "x0") if silent else ("eps",)
        for prediction in predictions:
            for n in sorted(k for k in {1, 2, 7, min(levels.T, _T)} if k <= levels.T):
                points = grid(levels, get_spacing("trailing"), n)
                cases.append(EndCase(f"{levels.token}, {n} steps, {prediction}", points, n, prediction))
            if levels.T > 2:
                points = points_on(levels, [levels.T - 1, levels.T // 2], 0)
                cases.append(EndCase(f"{levels.token}, to t = 0, {prediction}", points, 2, prediction))
                longer = (*points, points[-1])
                cases.append(EndCase(f"{levels.token}, to t = 0 and there again, {prediction}", longer, 3, prediction))
    return cases


def examine(rule: Rule, case: EndCase) -> str:
    """What is wrong on this grid, in words; "" if nothing is."""
    plan = compile_plan(rule, case.points, prediction=case.prediction)
    if plan.steps != case.steps:
        return f"{plan.steps} steps instead of {case.steps}"
    problem = _check_calls(rule, plan)
    if problem:
        return problem
    rng = np.random.default_rng(0)
    start = THREE_GAUSSIANS.std(case.points[0]) * rng.standard_normal(5)
    end = run_optimal_network(plan, THREE_GAUSSIANS, start, lambda _: rng.standard_normal(5))
    return "" if np.isfinite(end).all() else "the result is not finite"


def _check_calls(rule: Rule, plan: Plan) -> str:
    """Each interval makes `rule.calls` calls, or fewer next to σ = 0, to α = 0, and while the history is short."""
    ends = np.flatnonzero(plan.step_end)
    calls = np.diff(ends, prepend=-1)
    first, others = np.split(calls, [rule.startup_steps])
    if (first > max(rule.calls, rule.startup_calls)).any() or (others > rule.calls).any():
        return f"{calls.max()} network calls in one step; the rule states {rule.calls}"
    inner_calls = calls[plan.history : -1]
    if (inner_calls != rule.calls).any():
        return f"{inner_calls.min()} network calls in one step; the rule states {rule.calls}"
    return ""


def _choose_schedules(own: Schedule | None) -> list[Schedule]:
    if own:
        return [own]
    return [
        get_scheduler(token) for token in (f"linear:T={_T}", f"linear:T={_T},zero_snr=true", "cosine", "linear:T=1")
    ]
