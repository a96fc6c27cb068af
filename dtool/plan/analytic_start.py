"""A run whose first network call is left out: where noise is all, what the network would say of it is known.

There x = α·x0 + σ·ε is noise but for a little, and ε is x/√(α²+σ²), whatever the data: the analytical first step of
arXiv:2210.05475, which arXiv:2312.00094 and arXiv:2507.14797 take, too. It multiplies x by a number, so that the plan
begins at the next level, with a start of another size: one call less.
"""

from __future__ import annotations

import inspect
from math import hypot
from typing import Any

from dtool.errors import CompileError
from dtool.plan.draft import Draft
from dtool.plan.linear_form import LinearForm
from dtool.plan.point import Interval, Node
from dtool.plan.stages import parse_stage, run_stages
from dtool.samplers.rule import Rule


def begin_analytically(draft: Draft, rule: Rule, interval: Interval) -> Node | None:
    """Take the first step without a call at its beginning: the node there, None if later steps cannot look back at it.

    They cannot where the step adds noise. A rule of several calls a step makes its others, the first of them the plan's
    first row. Raises CompileError for a grid or a rule that leaves none, or that gives nothing to begin from.
    """
    factor, noise = (_answer(rule, interval, x, z)[1] for x, z in ((1.0, 0.0), (0.0, 1.0)))
    if rule.inverse or not factor:
        raise CompileError(f"{rule.token} cannot leave out its first call", "leave out first=analytic")
    size = hypot(interval.now.alpha, interval.now.sigma)
    draft.init = hypot(factor * size, noise)
    start = LinearForm({0: 1 / factor})  # x at the beginning, of the first row's
    node, _, point, stages = _answer(rule, interval, start, LinearForm({2: 1.0}))
    if stages is None and interval.left == 0:
        raise CompileError("of one step without its first call nothing is left", "take two steps or more")
    if stages is None:
        return None if noise else node
    if noise:
        raise CompileError(
            f"{rule.token} adds noise before its second call, and cannot leave out the first",
            "leave out first=analytic",
        )
    draft.begin_interval()
    run_stages(draft, rule, stages, 0, interval.to, draft.node(point))
    return node


def _answer(rule: Rule, interval: Interval, x: Any, z: Any) -> tuple[Node, Any, Any, Any]:
    """(the node, the rule's first value, the level that it is for, its further requests if it has any)."""
    now, to = interval.now, interval.to
    eps = 1 / hypot(now.alpha, now.sigma) * x
    x0 = 1 / now.alpha * (x - now.sigma * eps) if now.alpha else 0.0 * x
    node = Node(now, x, x0=x0, eps=eps, z=z)
    node.index, node.left = interval.place, interval.left
    result = rule(node, to, z)
    if not inspect.isgenerator(result):
        return node, result, to, None
    try:
        guess, point = parse_stage(next(result))
    except StopIteration as stop:
        return node, stop.value, to, None
    return node, guess, point, result
