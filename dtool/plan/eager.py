"""Running a rule step by step with arrays: how one debugs a rule, and what a compiled plan is compared with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

from dtool.plan.point import Node, Point, iterate_intervals, order_points
from dtool.plan.stages import get_max_stages, is_idle, make_endless_error, parse_stage
from dtool.samplers.rule import Rule


def run_eager(
    rule: Rule,
    points: Sequence[Point],
    eps: Callable[[Any, Point], Any],
    x: Any,
    z: Callable[[int], Any] = lambda _: 0.0,
    *,
    without: Callable[[Any, Point], Any] | None = None,
) -> Any:
    """x at the last point, from x `(B, *)` at the first, with no plan in between.

    eps(x, point): the network's prediction of the noise. z(i): the standard Gaussian noise of the i-th network call,
    `(B, *)`; z(-i) that of an upward interval after i calls. Anything that the arrays can do, a rule may do here.
    without(x, point): the prediction of the noise without the conditions, which the rule sees as `now.without`, where
    `eps` is guided; None: the same.

    >>> points = [dtool.Point(0.1, 0.9), dtool.Point(0.6, 0.6), dtool.plan.CLEAN]
    >>> x0 = dtool.plan.run_eager(dtool.get_sampler("euler"), points, eps=lambda x, point: x / 2, x=1.0)
    >>> round(x0, 3)
    4.2
    """
    points = order_points(points, inverse=rule.inverse)
    before: Node | None = None
    calls = 0

    def node(point: Point, state: Any) -> Node:
        nonlocal calls
        calls += 1
        noise = z(calls - 1)
        free = None if without is None else Node(point, state, eps=without(state, point), z=noise)
        return Node(point, state, eps=eps(state, point), z=noise, without=free)

    for now_at, to, index, left, upward in iterate_intervals(points, inverse=rule.inverse):
        if upward:
            scale = to.alpha / now_at.alpha
            x = scale * x + sqrt(to.sigma**2 - (scale * now_at.sigma) ** 2) * z(-calls)
            before = None
            continue
        now = node(now_at, x)
        now.before, now.index, now.left = before, index, left
        x = to.alpha / now.alpha * now.x if is_idle(rule, now_at, to) else rule(now, to, now.z)
        if inspect.isgenerator(x):
            x = _drive(x, node, rule)
        before = now
    return x


def _drive(steps: Any, node: Callable[[Point, Any], Node], rule: Rule) -> Any:
    """Answer a rule's requests for network calls until it returns."""
    stage: Node | None = None
    try:
        for _ in range(get_max_stages(rule)):
            guess, point = parse_stage(steps.send(stage))
            stage = node(point, guess)
    except StopIteration as stop:
        return stop.value
    raise make_endless_error(rule)
