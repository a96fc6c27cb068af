"""SA-Solver: stochastic Adams methods for the reverse SDE, a predictor and a corrector."""

from math import expm1, isnan
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import (
    data_step,
    data_weights,
    lagrange_weights,
    limit_order,
    select_nodes,
    weighted_sum,
)
from dtool.samplers.engines.options import FULL, LastOrders
from dtool.samplers.rule import sampler

PLAIN = {**FULL, "simple_order_2": False}


def _orders(tau: float, predictor: int, corrector: int, lower_order_final: str, **_: object) -> tuple[int, int]:
    order = min(corrector, predictor + 1) if corrector else predictor
    return order if tau == 0 else min(order, 2), 2 if corrector > 1 and lower_order_final == "never" else 1


@sampler(
    "sa-solver",
    order=2,
    startup_order=2,
    orders=_orders,
    calls=lambda corrector, pece, **_: 2 if corrector and pece else 1,
    cite="arXiv:2309.05019, section 5 and algorithm 1",
    family="predictor-corrector",
    corrects=lambda corrector, **_: corrector > 0,
    same=(
        Same("dpmpp-2m-sde:variant=heun", when={"predictor": 2, "corrector": 0, "tau": 1, **PLAIN}),
        Same("dpmpp-3m-sde", when={"predictor": 3, "corrector": 0, "tau": 1, **PLAIN}),
        Same("dpmpp-3m", when={"predictor": 3, "corrector": 0, "tau": 0, **PLAIN}),
    ),
)
def sa_solver(
    now,
    to,
    z,
    *,
    tau: Annotated[float, Field(ge=0, le=2, description="0: the ODE, 1: the reverse SDE of DDPM")] = 1.0,
    predictor: Annotated[int, Field(ge=1, le=4, description="nodes of the predictor")] = 2,
    corrector: Annotated[int, Field(ge=0, le=4, description="nodes of the corrector, its own included; 0: none")] = 3,
    pece: Annotated[bool, Field(description="call the network again at each corrected x")] = False,
    simple_order_2: Annotated[
        bool, Field(description="of two nodes, weigh the slope as if the step were short: appendix D's coefficients")
    ] = False,
    noise_above: Annotated[
        float, Field(ge=0, le=1, description="add noise in steps only that begin at this t/T or above")
    ] = 0.0,
    noise_below: Annotated[float, Field(ge=0, le=1, description="at this t/T or below")] = 1.0,
    lower_order_final: LastOrders = "never",
):
    """SA-Solver: x0 as a polynomial in λ, integrated exactly in the SDE of strength τ²; corrected at the next call.

    One network call per step; two with pece, where the prediction at the corrected x replaces that at the predicted one
    in all that follows, and one in the first. With noise the weak order is 2, as measured on Gaussian data, and 1 where
    a single node is all that the predictor without a corrector, or the corrector, has; for τ = 0 it is the corrector's
    number of nodes, and at most one more than the predictor's. Steps at infinite λ, and so the last one to σ = 0, are
    of order 1 and are not corrected. Where the order of the last steps is lowered, a corrector has one node more than
    the predictor may have.
    """
    x = _correct(now, corrector, lower_order_final, simple=simple_order_2)
    if x is not now.x and pece:
        again = yield x, now.point
        now.keep(again=again)
        z = again.z
    eta = tau * tau if _is_noisy(now, noise_above, noise_below) else 0.0
    nodes = _select(now, to, limit_order(now, predictor, lower_order_final))
    weights = _weigh(nodes, now, to, eta, simple=simple_order_2)
    if corrector:
        now.keep(nodes=nodes, weights=weights, eta=eta)
    return data_step(now, to, nodes, weights, z, eta, x)


def _is_noisy(now: Any, least: float, most: float) -> bool:
    """Whether noise is added in a step that begins here: everywhere, if the level has no time on a schedule."""
    if now.point.schedule is None or isnan(now.t):
        return True
    return bool(least * now.point.schedule.T <= now.t <= most * now.point.schedule.T)


def _select(now: Any, to: Any, count: int) -> list[Any]:
    """The nodes for a step, each as the network last saw it."""
    return [node.kept.get("again", node) for node in select_nodes(now, to, count)]


def _weigh(nodes: list[Any], start: Any, end: Any, eta: float, *, simple: bool) -> list[float]:
    """The weights of x0 at the nodes in the step from `start` to `end`."""
    if not simple or len(nodes) != 2:
        return data_weights(nodes, start, end, eta)
    h = end.lam - start.lam
    moments = [-end.alpha * expm1(-(1 + eta) * h), end.alpha * (1 + eta) * h / 2]
    return lagrange_weights([(node.lam - start.lam) / h for node in nodes], moments)


def _correct(now: Any, corrector: int, lower_order_final: str, *, simple: bool) -> Any:
    """x at `now`, with the corrector's weights in place of the predictor's; the noise of the step is the same."""
    last = now.before
    if not corrector or last is None or last.alpha == 0:
        return now.x
    nodes = [now, *_select(last, now, limit_order(last, corrector - 1, lower_order_final))][:corrector]
    better = _weigh(nodes, last, now, last.kept["eta"], simple=simple)
    x = now.x + weighted_sum(nodes, better)
    return x - weighted_sum(last.kept["nodes"], last.kept["weights"])
