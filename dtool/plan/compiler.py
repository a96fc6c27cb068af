"""compile(rule, points) → Plan: call the rule once per interval with symbols, and record what it returns."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import hypot
from operator import attrgetter
from typing import Any, cast

import numpy as np

from dtool.errors import CompileError, DtoolError
from dtool.plan.analytic_start import begin_analytically
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.draft import Draft
from dtool.plan.linear_form import LinearForm
from dtool.plan.point import Interval, Node, Point, iterate_intervals, order_points
from dtool.plan.prediction import history_map, locate_levels, output_map, scale_input
from dtool.plan.stages import is_idle, run_stages
from dtool.plugins.isolation import ARITHMETIC_SECONDS, guard_code
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers.schedule import Schedule
from dtool.util.text import format_exception


def compile(  # noqa: A001 - the word for it
    rule: Rule,
    points: Sequence[Point],
    *,
    prediction: Prediction = "eps",
    schedule: Schedule | None = None,
    recipe: str = "",
    skipped: int = 0,
    analytic_start: bool = False,
) -> Plan:
    """Compile a rule on a grid of points into a plan.

    points: at least two, from noise to image; no point twice in a row, but for the last: that step leaves x as it is.
    A grid may go up again: an upward interval adds noise by the forward process, without a network call, and the
    rule's history starts anew. An inverse rule walks the same grid backwards, from image to noise.
    prediction: what the network's output means. schedule: the one the points lie on, for the header. skipped: how many
    steps of the whole grid come before these points, for rules that count them. analytic_start: the network is not
    called at the first of them (`dtool.plan.analytic_start`), and the plan begins at the next.
    Raises CompileError if the rule is not linear, if the grid cannot be walked, or if the table is not finite.

    >>> points = [dtool.Point(0.1, 0.9), dtool.Point(0.6, 0.6), dtool.plan.CLEAN]
    >>> dtool.plan.compile(dtool.get_sampler("euler"), points).rows
    2
    """
    points = order_points(points, inverse=rule.inverse)
    with guard_code(rule.origin, f"cannot be run as {rule.token}", seconds=ARITHMETIC_SECONDS, error=CompileError):
        intervals = iterate_intervals(points, inverse=rule.inverse, skipped=skipped)
        draft, before = Draft(rule), None
        if analytic_start:
            before = begin_analytically(draft, rule, next(intervals))
        _draft_rows(draft, rule, intervals, before)
        return _assemble_plan(draft, prediction, schedule, recipe or rule.token)


def _draft_rows(draft: Draft, rule: Rule, intervals: Iterable[Interval], before: Node | None) -> None:
    """The rows, interval by interval; `before` the first of them."""
    for now, to, index, left, upward in intervals:
        if upward:
            draft.jump(now, to)
            before = None
            continue
        draft.begin_interval()
        node = draft.node(replace(now, t=to.t, schedule=to.schedule) if rule.tells_next_time else now)
        node.before, node.index, node.left = before, index, left
        if is_idle(rule, now, to):
            draft.end_row(to.alpha / now.alpha * node.x, len(draft.rows) - 1, to, step_end=True)
        else:
            _compile_interval(draft, rule, node, to)
        if node.kept:
            draft.rewrite_kept(node)
        before = node


def _compile_interval(draft: Draft, rule: Rule, now: Node, to: Point) -> None:
    """One interval: the rows that the rule asks for, the last of them ending at `to`."""
    start = len(draft.rows) - 1
    try:
        result: Any = rule(now, to, now.z)
        if isinstance(result, LinearForm) or not inspect.isgenerator(result):
            draft.end_row(result, start, to, step_end=True)
            return
        run_stages(draft, rule, cast("Any", result), start, to)
    except DtoolError as error:
        if not isinstance(error, CompileError) or rule.name in str(error):
            raise
        raise CompileError(f"{rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: {error}", error.hint) from error
    except Exception as error:
        foreign = "" if rule.origin is None or rule.origin.is_builtin else f" ({rule.origin})"
        raise CompileError(
            f"{rule.token}, from λ={now.lam:.4g} to λ={to.lam:.4g}: {format_exception(error)}{foreign}",
            "the rule must hold for every interval that it is given, the ends included",
        ) from error


def _assemble_plan(draft: Draft, prediction: Prediction, schedule: Schedule | None, recipe: str) -> Plan:
    rows, rule = draft.rows, draft.rule
    n = len(rows)
    b = _gather_history([row.b for row in rows], least=1)
    b_without = _gather_history([row.b_without for row in rows], least=0)
    names = ("a", "a_saved", "b_raw", "c", "c_low", "save", "step_end")
    columns: dict[str, Any] = {name: np.array(list(map(attrgetter(name), rows))) for name in names}
    points = [row.point for row in rows]
    alpha, sigma, t = (np.array(list(map(attrgetter(name), points))) for name in ("alpha", "sigma", "t"))
    time, c_in = np.where(np.isnan(t), 0.0, t), np.ones(n)
    if schedule is not None:  # a point of the rule's own, or of the user's, has no time yet
        time, c_in, _ = locate_levels(schedule, t, alpha, sigma)
    c_in = scale_input(prediction, alpha, sigma, c_in)
    c_skip, c_out = output_map(prediction, alpha, sigma, c_in)
    m_x, m_f = history_map(rule.basis, prediction, alpha, sigma, c_in)
    return Plan(
        recipe=recipe, sampler=rule.token, cite=rule.cite,
        schedule=schedule.token if schedule else "", schedule_hash=schedule.hash if schedule else "",
        trained_hash=schedule.hash if schedule else "",
        prediction=prediction, basis=rule.basis, init=draft.init or float(hypot(alpha[0], sigma[0])),
        t=t, time=time, alpha=alpha, sigma=sigma, c_in=c_in, c_skip=c_skip, c_out=c_out,
        m_x=m_x, m_f=m_f, b=b, b_without=b_without, inverse=rule.inverse, **columns,
    )  # fmt: skip


def _gather_history(weights: Sequence[dict[int, float]], least: int) -> Column:
    """The weights of what rows remember, `(rows, entries)`, the newest first: of at least so many entries."""
    at = [i for i, row in enumerate(weights) for _ in row]
    back = [i - j for i, row in enumerate(weights) for j in row]
    table = np.zeros((len(weights), max(least, 1 + max(back, default=-1))))
    table[at, back] = [value for row in weights for value in row.values()]
    return table
