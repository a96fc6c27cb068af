"""DPM-Solver, multistep."""

from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import lam_weights, limit_order, noise_step, select_nodes
from dtool.samplers.engines.options import FULL, LastOrders
from dtool.samplers.rule import sampler


@sampler(
    "dpm-solver",
    order=3,
    startup_order=1,
    orders=lambda order, **_: (order, 1),
    basis="eps",
    cite="arXiv:2206.00927, eq. 3.4, with ε's derivatives from earlier steps as in arXiv:2211.01095, appendix B",
    family="multistep",
    same=(Same("deis:variable=logrho", when={"order": 3, "variant": "heun", **FULL}), Same("ddim", when={"order": 1})),
)
def dpm_solver(
    now,
    to,
    *,
    order: Annotated[int, Field(ge=1, le=3, description="values of ε, that of the step included")] = 3,
    variant: Annotated[
        Literal["midpoint", "heun"],
        Field(description="with two values: ε constant at its value half-way, or linear in λ and integrated exactly"),
    ] = "heun",
    lower_order_final: LastOrders = "never",
):
    """DPM-Solver, multistep: ε as a polynomial in λ through its last values, integrated exactly.

    One network call per step, order p with p values of ε once the history is long enough; from its own start, of order
    1 and then higher, the whole is of order 2. At infinite λ, and so in the last step to σ = 0, it is of order 1.
    """
    nodes = select_nodes(now, to, limit_order(now, order, lower_order_final))
    weights = lam_weights(nodes if len(nodes) != 2 or variant == "heun" else nodes[:1], now, to)
    if len(nodes) == 2 and variant == "midpoint":
        beyond = weights[0] * (to.lam - now.lam) / (2 * (now.lam - nodes[1].lam))
        weights = [weights[0] + beyond, -beyond]
    return noise_step(now, to, nodes, weights)
