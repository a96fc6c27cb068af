"""Certificate 2, order: how fast a deterministic rule converges to the exact solution of the probability-flow ODE.

Up to order 4 the field is that of three Gaussians. Beyond, errors on it fall below rounding before their leading term
rules; there the field is that of rooted trees, on which the leading term is all there is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from dtool.certify.grids import Grid, by_lam, by_v
from dtool.certify.laws import THREE_GAUSSIANS, ExactField, run_optimal_network
from dtool.certify.result import largest
from dtool.certify.rooted_trees import RootedTrees
from dtool.certify.slopes import Slope, converged_slope, fit_power, fit_slope
from dtool.plan import Node, Plan, Point
from dtool.plan import compile as compile_plan
from dtool.plan.stages import get_max_stages, make_endless_error, parse_stage
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array

_LOCAL_PLACES = (6, 12, 19, 25)  # in 32nds of the grid, where local errors are measured: the same level for all n
HIGHEST_ON_GAUSSIANS = 4
LARGEST_TREES = 9  # there are 286 of 9 vertices


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A field with an exact solution, the grids (steps, shape, lead) that it is solved on, and how slopes are fitted.

    start(point): x there. fit: of the error at the end; fit_local: of one that comes late to
    its slope: of one interval, begun at these `places`, and of a compiled plan.
    """

    field: ExactField
    grid: Callable[[int, str, int], Grid]
    start: Callable[[Point], Array]
    fit: Callable[[Callable[[int], float]], Slope]
    fit_local: Callable[[Callable[[int], float]], Slope]
    places: Callable[[int], Sequence[int]]


def _choose_problem(rule: Rule) -> Problem:
    """The problem on which the declared order can be measured."""
    if rule.order <= HIGHEST_ON_GAUSSIANS:
        return GAUSSIANS
    trees = RootedTrees(min(rule.order, LARGEST_TREES - 1) + 1)
    return Problem(field=trees, grid=by_v, start=trees.start, fit=fit_power, fit_local=fit_power, places=range)


def local_slope(rule: Rule, shape: str = "uniform") -> Slope:
    """The order of the error of one interval, begun from the exact x with exact history: `order` + 1 if it is right."""
    lead, problem = _needed_history(rule), _choose_problem(rule)

    def error(n: int) -> float:
        points = problem.grid(n, shape, lead)
        return largest(_local_error(rule, points, lead + i, lead, problem) for i in problem.places(n))

    return problem.fit_local(error)


def global_slope(rule: Rule, shape: str = "uniform") -> Slope:
    """The order of the error at the end, when the history before the first interval is exact: it should be `order`."""
    lead, problem = _needed_history(rule), _choose_problem(rule)
    field = problem.field

    def error(n: int) -> float:
        points = problem.grid(n, shape, lead)
        x = problem.start(points[lead])
        node = exact_node(rule, points, lead, lead, x, field)
        end = field.transport(x, points[lead], points[-1])
        for now, to in zip(points[lead:], points[lead + 1 :], strict=False):
            if node.point is not now:
                node, before = _call_network(now, x, field, rule), node
                node.before, node.index = before, before.index + 1
            x = run_interval(rule, node, to, field)
        return float(np.abs(x - end).max())

    return problem.fit(error)


def shipped_error(rule: Rule, n: int, shape: str = "uniform", problem: Problem | None = None) -> float:
    """The compiled plan's error at the end after `n` steps, its own start-up included, by default on the Gaussians."""
    field = (problem := problem or GAUSSIANS).field
    points = problem.grid(n, shape, 0)
    plan = compile_plan(rule, points, prediction="x0")
    x = problem.start(points[0])
    return float(np.abs(run_optimal_network(plan, field, x) - field.transport(x, points[0], points[-1])).max())


@cache
def shipped_slope(rule: Rule, shape: str = "uniform") -> Slope:
    """The order of `shipped_error`."""
    problem = _choose_problem(rule)
    return problem.fit_local(lambda n: shipped_error(rule, n, shape, problem))


def exact_node(rule: Rule, points: Sequence[Point], i: int, depth: int, x: Array, law: ExactField) -> Node:
    """The node at points[i], where x is `x`, with `depth` nodes behind it on the ODE's exact path through `x`.

    The rule has been called on every interval between them, with every stage on the exact path too, so that whatever
    it keeps on a node is there.
    """
    before: Node | None = None
    for j in range(i - depth, i):
        node = _call_network(points[j], law.transport(x, points[i], points[j]), law, rule)
        node.before, before, node.index = before, node, j - (i - depth)
        _finish(
            rule,
            rule(node, points[j + 1], 0.0),
            lambda _, at: _call_network(at, law.transport(x, points[i], at), law, rule),
        )
    last = _call_network(points[i], x, law, rule)
    last.before, last.index = before, depth
    return last


def run_interval(rule: Rule, now: Node, to: Point, law: ExactField) -> Array:
    """x at `to`, the optimal network being called wherever the rule asks."""
    return np.asarray(_finish(rule, rule(now, to, 0.0), lambda guess, at: _call_network(at, guess, law, rule)))


def has_kept_values(rule: Rule) -> bool:
    """Whether the rule leaves values on its nodes, as one must that corrects x one call later."""
    points = by_lam(8, lead=2)
    node = exact_node(rule, points, 2, 2, _make_start(points[2]), THREE_GAUSSIANS)
    run_interval(rule, node, points[3], THREE_GAUSSIANS)
    return bool(node.kept)


def is_multistep(rule: Rule) -> bool:
    """Whether an interval's outcome depends on earlier ones, so that there is a start-up at all."""
    plan = compile_plan(rule, by_lam(8), prediction="x0")
    first = plan.step_starts[np.searchsorted(plan.step_starts, np.arange(plan.rows), side="right") - 1]
    row, back = np.nonzero(plan.b)
    return bool((row - back < first[row]).any())


def _local_error(rule: Rule, points: Sequence[Point], i: int, depth: int, problem: Problem) -> float:
    law = problem.field
    x = law.transport(problem.start(points[depth]), points[depth], points[i])
    end = law.transport(x, points[i], points[i + 1])
    return float(np.abs(run_interval(rule, exact_node(rule, points, i, depth, x, law), points[i + 1], law) - end).max())


def _finish(rule: Rule, steps: Any, call: Callable[[Any, Point], Node]) -> Any:
    """What a rule returns; while it is a generator, its requests for network calls are answered by `call`."""
    if not inspect.isgenerator(steps):
        return steps
    requests = cast("Generator[tuple[Any, Point], Node | None, Any]", steps)
    node: Node | None = None
    try:
        for _ in range(get_max_stages(rule)):
            node = call(*parse_stage(requests.send(node)))
    except StopIteration as stop:
        return stop.value
    raise make_endless_error(rule)


def _call_network(at: Point, x: Array, law: ExactField, rule: Rule) -> Node:
    """The node that the optimal network makes of x at a level, in the rule's basis."""
    if rule.basis == "x0":
        return Node(at, x, x0=law.x0(x, at), z=0.0)
    return Node(at, x, eps=law.eps(x, at), z=0.0)


def _make_start(at: Point) -> Array:
    """Seven places of the three Gaussians at the level `at`."""
    return np.linspace(-1.8, 1.8, 7) * THREE_GAUSSIANS.std(at)


def _needed_history(rule: Rule) -> int:
    """How many intervals of exact history the rule may want to look at."""
    if rule.order > HIGHEST_ON_GAUSSIANS and not is_multistep(rule):
        return 0
    plan: Plan = compile_plan(rule, by_lam(12), prediction="x0")
    return plan.history + 2


GAUSSIANS = Problem(
    field=THREE_GAUSSIANS, grid=by_lam, start=_make_start, fit=fit_slope, fit_local=converged_slope,
    places=lambda n: [n * place // 32 for place in _LOCAL_PLACES],
)  # fmt: skip
