"""Certificate 2, order: how fast a deterministic rule converges to the exact solution of the probability-flow ODE."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from functools import cache
from typing import Any, cast

import numpy as np

from dtool.plan import Node, Plan, Point
from dtool.plan import compile as compile_plan
from dtool.plan.stages import endless, stage_asked, stages_of
from dtool.samplers.rule import Rule
from dtool.testing.grids import by_lam
from dtool.testing.result import largest
from dtool.testing.slopes import Slope, settled_slope, slope_of
from dtool.testing.targets import THREE, Array, Mixture
from dtool.testing.walk import optimal, walk

_AT = (0.2, 0.4, 0.6, 0.8)  # where on the grid the local error is measured


def local_slope(rule: Rule, shape: str = "uniform", law: Mixture = THREE) -> Slope:
    """The order of the error of one interval, begun from the exact x with exact history: `order` + 1 if it is right."""
    lead = _lead(rule)

    def error(n: int) -> float:
        points = by_lam(n, shape, lead)
        return largest(_one_interval(rule, points, lead + int(u * n), lead, law) for u in _AT)

    return settled_slope(error)


def global_slope(rule: Rule, shape: str = "uniform", law: Mixture = THREE) -> Slope:
    """The order of the error at the end, when the history before the first interval is exact: it should be `order`."""
    lead = _lead(rule)

    def error(n: int) -> float:
        points = by_lam(n, shape, lead)
        x = _start(law, points[lead])
        node = exact_node(rule, points, lead, lead, x, law)
        end = law.transport(x, points[lead], points[-1])
        for now, to in zip(points[lead:], points[lead + 1 :], strict=False):
            if node.point is not now:
                node, before = _called(now, x, law, rule), node
                node.before = before
            x = run_interval(rule, node, to, law)
        return float(np.abs(x - end).max())

    return slope_of(error)


def shipped_error(rule: Rule, n: int, shape: str = "uniform", law: Mixture = THREE) -> float:
    """The compiled plan's error at the end after `n` steps, its own start-up included."""
    points = by_lam(n, shape)
    made = compile_plan(rule, points, prediction="x0")
    x = _start(law, points[0])
    return float(np.abs(walk(made, optimal(law, made), x) - law.transport(x, points[0], points[-1])).max())


@cache
def shipped_slope(rule: Rule, shape: str = "uniform", law: Mixture = THREE) -> Slope:
    """The order of `shipped_error`."""
    return slope_of(lambda n: shipped_error(rule, n, shape, law))


def exact_node(rule: Rule, points: Sequence[Point], i: int, depth: int, x: Array, law: Mixture) -> Node:
    """The node at points[i], where x is `x`, with `depth` nodes behind it on the ODE's exact path through `x`.

    The rule has been called on every interval between them, with every stage on the exact path too, so that whatever
    it keeps on a node is there.
    """
    before: Node | None = None
    for j in range(i - depth, i):
        node = _called(points[j], law.transport(x, points[i], points[j]), law, rule)
        node.before, before = before, node
        _finished(
            rule, rule(node, points[j + 1], 0.0), lambda _, at: _called(at, law.transport(x, points[i], at), law, rule)
        )
    last = _called(points[i], x, law, rule)
    last.before = before
    return last


def run_interval(rule: Rule, now: Node, to: Point, law: Mixture) -> Array:
    """x at `to`, the optimal network being called wherever the rule asks."""
    return np.asarray(_finished(rule, rule(now, to, 0.0), lambda guess, at: _called(at, guess, law, rule)))


def keeps(rule: Rule) -> bool:
    """Whether the rule leaves values on its nodes, as one must that corrects x one call later."""
    points = by_lam(8, lead=2)
    node = exact_node(rule, points, 2, 2, _start(THREE, points[2]), THREE)
    run_interval(rule, node, points[3], THREE)
    return bool(node.kept)


def looks_back(rule: Rule) -> bool:
    """Whether an interval's outcome depends on earlier ones, so that there is a start-up at all."""
    made = compile_plan(rule, by_lam(8), prediction="x0")
    starts = np.concatenate([[0], np.flatnonzero(made.step_end)[:-1] + 1])
    first = starts[np.searchsorted(starts, np.arange(made.rows), side="right") - 1]
    row, back = np.nonzero(made.b)
    return bool((row - back < first[row]).any())


def _one_interval(rule: Rule, points: Sequence[Point], i: int, depth: int, law: Mixture) -> float:
    x = law.transport(_start(law, points[depth]), points[depth], points[i])
    end = law.transport(x, points[i], points[i + 1])
    return float(np.abs(run_interval(rule, exact_node(rule, points, i, depth, x, law), points[i + 1], law) - end).max())


def _finished(rule: Rule, steps: Any, call: Callable[[Any, Point], Node]) -> Any:
    """What a rule returns; while it is a generator, its requests for network calls are answered by `call`."""
    if not inspect.isgenerator(steps):
        return steps
    asking = cast("Generator[tuple[Any, Point], Node | None, Any]", steps)
    node: Node | None = None
    try:
        for _ in range(stages_of(rule)):
            node = call(*stage_asked(asking.send(node)))
    except StopIteration as stop:
        return stop.value
    raise endless(rule)


def _called(at: Point, x: Array, law: Mixture, rule: Rule) -> Node:
    """The node that the optimal network makes of x at a level, in the rule's basis."""
    if rule.basis == "x0":
        return Node(at, x, x0=law.x0(x, at), z=0.0)
    return Node(at, x, eps=law.eps(x, at), z=0.0)


def _start(law: Mixture, at: Point) -> Array:
    """Seven places of the law at the level `at`."""
    return np.linspace(-1.8, 1.8, 7) * law.std(at)


def _lead(rule: Rule) -> int:
    """How many intervals of exact history the rule may want to look at."""
    made: Plan = compile_plan(rule, by_lam(12), prediction="x0")
    return made.history + 2
