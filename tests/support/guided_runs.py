"""Guidance written out by hand, row by row, around `dtool.plan.reference`: what every loop is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtool.plan.compiled_plan import Plan
from dtool.plan.reference import ask_network, run_rows

Output = Callable[[Any, float], Any]


def run_by_hand(
    plan: Plan,
    given: Output,
    without: Output,
    scale: float,
    x: Any,
    noise: Any,
    clip: Callable[[Any], Any] | None = None,
) -> Any:
    """x at the end in float64, from the network's whole outputs with the conditions and without.

    noise: z of every row. Of a plan whose noise the network scales, the second half of the channels does.
    """
    half = x.shape[1]

    def both(x: Any, t: float, i: int) -> tuple[Any, Any, Any]:
        full, free = given(x, t), without(x, t)
        weight = 1 + plan.guided[i] * (scale - 1)
        one, other = full[:, :half], free[:, :half]
        output = other + weight * (one - other)
        if plan.rescale and weight not in (0, 1):
            axes = tuple(range(1, x.ndim))
            ratio = one.std(axis=axes, keepdims=True) / output.std(axis=axes, keepdims=True)
            output = plan.rescale * output * ratio + (1 - plan.rescale) * output
        return output, other, (free if weight == 0 else full)[:, half:]

    def ask(x: Any, i: int) -> Any:
        def network(x: Any, t: float) -> Any:
            output, _, v = both(x, t, i)
            return (output, v) if plan.learned else output

        return ask_network(plan, i, network, x, clip, lambda x, t: both(x, t, i)[1])

    return run_rows(plan, ask, x, lambda i: noise[i])


def count_rows(plan: Plan, scale: float) -> list[int]:
    """How often each row evaluates the network for an image."""
    weights = 1 + plan.guided * (scale - 1)
    return [1 if w == 0 or (w == 1 and not c) else 2 for w, c in zip(weights, plan.compares, strict=True)]
