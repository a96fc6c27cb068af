"""RES: the refined exponential solver, multistep."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import data_step, data_weights, select_nodes
from dtool.samplers.engines.one_step import ancestral_noise
from dtool.samplers.engines.runge_kutta import point_below
from dtool.samplers.rule import sampler


@sampler(
    "res-multistep",
    order=2,
    startup_order=1,
    orders=lambda eta: (2, 1) if eta == 0 else (1, 1),
    cite="arXiv:2308.02157, eq. 10 and table 2",
    family="multistep",
    same=Same("dpmpp-2m:variant=heun", when={"eta": 0}),
)
def res_multistep(
    now,
    to,
    z,
    *,
    eta: Annotated[float, Field(ge=0, le=1, description="0: deterministic; up to 1: ancestral")] = 0.0,
):
    """RES, multistep: x0 linear in λ through its last two values, integrated exactly.

    One network call per step, order 2; with η > 0 each step goes further down and back up with fresh noise, as
    Euler's ancestral method does. The first step, and those at infinite λ, are of order 1.
    """
    noise = ancestral_noise(now, to, eta) if eta else 0.0
    low = point_below(to, noise) if noise else to
    nodes = select_nodes(now, low, 2)
    x_low = data_step(now, low, nodes, data_weights(nodes, now, low))
    return x_low + noise * z if noise else x_low
