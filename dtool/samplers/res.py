"""RES: the refined exponential solver, multistep."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.adams import data_step, data_weights, nodes_of
from dtool.samplers.one_step import ancestral_noise
from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import down


@sampler(
    "res-multistep",
    order=2,
    startup_order=1,
    orders=lambda eta: (2, 1) if eta == 0 else (1, 1),
    cite="arXiv:2308.02157, eq. 10 and table 2",
    family="multistep",
    same={"dpmpp-2m:variant=heun": "eta=0"},
)
def res_multistep(
    now,
    to,
    z,
    *,
    eta: Annotated[float, Field(ge=0, le=1, description="0: deterministic; up to 1: ancestral")] = 0.0,
):
    """RES, multistep: x0 linear in λ through its last two values, integrated exactly.

    One network call a step, order 2; with η > 0 each step goes further down and back up with fresh noise, as
    Euler's ancestral method does. The first step, and those at infinite λ, are of order 1.
    """
    noise = ancestral_noise(now, to, eta) if eta else 0.0
    low = down(to, noise) if noise else to
    nodes = nodes_of(now, low, 2)
    stepped = data_step(now, low, nodes, data_weights(nodes, now, low))
    return stepped + noise * z if noise else stepped
