"""UniPC: the unified predictor-corrector, with one network call per step."""

from collections.abc import Sequence
from math import expm1
from typing import Annotated, Any, Literal

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import (
    data_step,
    data_weights,
    limit_order,
    midpoint_weights,
    select_nodes,
    weighted_sum,
)
from dtool.samplers.engines.options import FULL, LastOrders
from dtool.samplers.rule import sampler


@sampler(
    "unipc",
    order=3,
    startup_order=2,
    orders=lambda order, corrector, lower_order_final, **_: (
        order + corrector,
        2 if corrector and lower_order_final == "never" else 1,
    ),
    cite="arXiv:2302.04867, algorithms 5-8",
    family="predictor-corrector",
    corrects=lambda corrector, **_: corrector,
    same=(
        Same("dpmpp-2m", when={"order": 2, "corrector": False, "variant": "bh2", **FULL}),
        Same("ddim", when={"order": 1, "corrector": False}),
    ),
)
def unipc(
    now,
    to,
    *,
    order: Annotated[int, Field(ge=1, le=3, description="of the predictor; the corrector adds one")] = 2,
    variant: Annotated[Literal["bh1", "bh2"], Field(description="B(h): h, or e^h - 1")] = "bh2",
    corrector: Annotated[bool, Field(description="correct each x when its prediction is there")] = True,
    lower_order_final: LastOrders = "never",
):
    """UniPC: each step is corrected at the next, with the prediction that is made there anyway.

    One network call per step, order p + 1 with the corrector and p without. The paper's coefficients are those of the
    exponential Adams method through the same nodes; B(h) matters only where it divides by it with the weight 1/2 set
    beforehand: in the predictor of order 2 and in the corrector after the first step. Steps at infinite λ, and so the
    last one to σ = 0, are of order 1 and are not corrected. A corrector is of the order of its step's predictor, + 1.
    """
    x = _correct(now, variant) if corrector else now.x
    nodes = select_nodes(now, to, limit_order(now, order, lower_order_final))
    weights = data_weights(nodes, now, to) if len(nodes) == 3 else _second_order_weights(nodes, now, to, variant)
    if corrector:
        now.keep(nodes=nodes, weights=weights)
    return data_step(now, to, nodes, weights, x=x)


def _second_order_weights(nodes: Sequence[Any], now: Any, to: Any, variant: str) -> list[float]:
    """The predictor's weights at order 2, and at order 1: ½·B(h) times the difference of x0 a step away."""
    weights = midpoint_weights(nodes, now, to)
    if variant == "bh1" and len(nodes) == 2:
        h = to.lam - now.lam
        beyond = to.alpha * h * h / (2 * (now.lam - nodes[1].lam))
        weights = [-to.alpha * expm1(-h) + beyond, -beyond]
    return weights


def _correct(now: Any, variant: str) -> Any:
    """x at `now` as it would be, had its own x0 been known in the step that led here."""
    last = now.before
    if last is None or last.alpha == 0:
        return now.x
    nodes, weights = last.kept["nodes"], last.kept["weights"]
    if len(nodes) == 1:
        h = now.lam - last.lam
        change = now.alpha * (h if variant == "bh1" else -expm1(-h)) / 2
        return now.x + change * (now.x0 - last.x0)
    better = data_weights([now, *nodes], last, now)
    return now.x + weighted_sum([now, *nodes], [better[0], *(b - w for b, w in zip(better[1:], weights, strict=True))])
