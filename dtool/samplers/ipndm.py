"""PNDM's linear multistep methods: the classical weights of Adams and Bashforth, those of equal steps."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same, Steps
from dtool.samplers.engines.adams import equal_spacing_step, noise_step, select_eps_nodes, v_weights
from dtool.samplers.rule import sampler


@sampler(
    "ipndm",
    order=2,
    startup_order=1,
    orders=lambda order, variable: (order if variable else min(order, 2), 1),
    basis="eps",
    cite="arXiv:2202.09778, eq. 12; without its warm-up, arXiv:2204.13902, eq. 36",
    family="multistep",
    same=(
        Same("lms", when={"order": 4}, on=Steps.EQUAL_IN_V),
        Same("lms:order=4", when={"variable": True, "order": 4}),
        Same("euler", when={"order": 1}),
    ),
)
def ipndm(
    now,
    to,
    *,
    order: Annotated[int, Field(ge=1, le=4, description="values of ε, that of the step included")] = 4,
    variable: Annotated[bool, Field(description="the weights of the steps as they are")] = False,
):
    """iPNDM: Adams-Bashforth in v = σ/α with the weights of equal steps, begun at order 1 and raised step by step.

    One network call per step. The weights are of order p where the steps are equal in v; on a grid that is graded
    smoothly, as all usual spacings are, the order is 2, and on an irregular one 1. variable=true takes the weights
    that are right for the grid: order p on any.
    """
    if variable:
        nodes = select_eps_nodes(now, order)
        return noise_step(now, to, nodes, v_weights(nodes, now, to))
    return equal_spacing_step(now, to, order)
