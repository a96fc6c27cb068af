"""PNDM's linear multistep methods: the classical weights of Adams and Bashforth, those of equal steps."""

from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.adams import chain, noise_step, stretch, v_weights
from dtool.samplers.rule import sampler

WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def equal_steps(now: Any, to: Any, order: int) -> Any:
    """The step in v = σ/α with the weights that are right for equal steps, as many as there are values of ε."""
    nodes, whole = chain(now, order), stretch(now, to)
    return noise_step(now, to, nodes, [whole * w for w in WEIGHTS[len(nodes) - 1]])


@sampler(
    "ipndm",
    order=2,
    startup_order=1,
    orders=lambda order, variable: (order if variable else min(order, 2), 1),
    basis="eps",
    cite="arXiv:2202.09778, eq. 12; without its warm-up, arXiv:2204.13902, eq. 36",
    family="multistep",
    same={"lms": "order=4,steps equal in σ/α", "lms:order=4": "variable=true,order=4", "euler": "order=1"},
)
def ipndm(
    now,
    to,
    *,
    order: Annotated[int, Field(ge=1, le=4, description="values of ε, that of the step included")] = 4,
    variable: Annotated[bool, Field(description="the weights of the steps as they are")] = False,
):
    """iPNDM: Adams-Bashforth in v = σ/α with the weights of equal steps, begun at order 1 and raised step by step.

    One network call a step. The weights are of order p where the steps are equal in v; on a grid that is graded
    smoothly, as all usual spacings are, the order is 2, and on an irregular one 1. variable=true takes the weights
    that are right for the grid: order p on any.
    """
    if variable:
        nodes = chain(now, order)
        return noise_step(now, to, nodes, v_weights(nodes, now, to))
    return equal_steps(now, to, order)
