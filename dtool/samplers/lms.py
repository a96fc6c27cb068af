"""The linear multistep method of k-diffusion."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import noise_step, select_eps_nodes, v_weights
from dtool.samplers.rule import sampler


@sampler(
    "lms",
    order=4,
    startup_order=1,
    orders=lambda order: (order, 1),
    basis="eps",
    cite="arXiv:2206.00364, eq. 1, with Adams and Bashforth's method",
    family="multistep",
    same=(
        Same("deis:variable=rho,order=4", when={"order": 4}),
        Same("ipndm:variable=true", when={"order": 4}),
        Same("euler", when={"order": 1}),
    ),
)
def lms(now, to, *, order: Annotated[int, Field(ge=1, le=4, description="values of ε, that of the step included")] = 4):
    """LMS: Adams-Bashforth on the uneven grid for dx̄/dv = ε, with x̄ = x/α and v = σ/α.

    One network call per step, order p with p values of ε once the history is long enough; from its own start, of order
    1 and then higher, the whole is of order 2. v is finite at σ = 0, so the last step is of full order; a first step
    from α = 0, where v is infinite, is of order 1. Like all polynomials in v it wants steps that are short in v.
    """
    nodes = select_eps_nodes(now, order)
    return noise_step(now, to, nodes, v_weights(nodes, now, to))
