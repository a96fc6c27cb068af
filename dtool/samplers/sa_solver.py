"""SA-Solver: stochastic Adams methods for the reverse SDE, a predictor and a corrector."""

from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import data_step, data_weights, select_nodes, weighted_sum
from dtool.samplers.rule import sampler


def _orders(tau: float, predictor: int, corrector: int) -> tuple[int, int]:
    order = min(corrector, predictor + 1) if corrector else predictor
    return order if tau == 0 else min(order, 2), 2 if corrector > 1 else 1


@sampler(
    "sa-solver",
    order=2,
    startup_order=2,
    orders=_orders,
    cite="arXiv:2309.05019, section 5 and algorithm 1",
    family="predictor-corrector",
    corrects=lambda corrector, **_: corrector > 0,
    same=(
        Same("dpmpp-2m-sde:variant=heun", when={"predictor": 2, "corrector": 0, "tau": 1}),
        Same("dpmpp-3m-sde", when={"predictor": 3, "corrector": 0, "tau": 1}),
        Same("dpmpp-3m", when={"predictor": 3, "corrector": 0, "tau": 0}),
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
):
    """SA-Solver: x0 as a polynomial in λ, integrated exactly in the SDE of strength τ²; corrected at the next call.

    One network call per step. With noise the weak order is 2, as measured on Gaussian data, and 1 where a single node
    is all that the predictor without a corrector, or the corrector, has; for τ = 0 it is the corrector's number of
    nodes, and at most one more than the predictor's. Steps at infinite λ, and so the last one to σ = 0, are of order
    1 and are not corrected.
    """
    eta = tau * tau
    x = _correct(now, corrector, eta)
    nodes = select_nodes(now, to, predictor)
    weights = data_weights(nodes, now, to, eta)
    if corrector:
        now.keep(nodes=nodes, weights=weights)
    return data_step(now, to, nodes, weights, z, eta, x)


def _correct(now: Any, corrector: int, eta: float) -> Any:
    """x at `now`, with the corrector's weights in place of the predictor's; the noise of the step is the same."""
    last = now.before
    if not corrector or last is None or last.alpha == 0:
        return now.x
    nodes = [now, *select_nodes(last, now, corrector - 1)][:corrector]
    better = data_weights(nodes, last, now, eta)
    x = now.x + weighted_sum(nodes, better)
    return x - weighted_sum(last.kept["nodes"], last.kept["weights"])
