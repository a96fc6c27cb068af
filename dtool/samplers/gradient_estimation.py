"""Gradient estimation: ε pushed on along its last change."""

from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import constant_eps_weight, noise_step, select_eps_nodes
from dtool.samplers.rule import sampler


@sampler(
    "gradient-estimation",
    order=1,
    orders=lambda gamma, **_: (2, 1) if gamma == 1.5 else (1, 1),
    basis="eps",
    cite="arXiv:2306.04848, algorithm 2",
    family="multistep",
    same=(Same("ipndm:order=2", when={"gamma": 1.5, "last": "estimated"}), Same("euler", when={"gamma": 1})),
)
def gradient_estimation(
    now,
    to,
    *,
    gamma: Annotated[float, Field(ge=1, le=2, description="how far ε is extrapolated; 1 is Euler's method")] = 2.0,
    last: Annotated[
        Literal["estimated", "euler"],
        Field(description="the step to σ = 0: extrapolated too, or Euler's, as ComfyUI's"),
    ] = "estimated",
):
    """Gradient estimation: Euler's method with γ·ε + (1 - γ)·(the last ε) in place of ε.

    One network call per step, order 1; at γ = 1.5 it is Adams-Bashforth of order 2 for equal steps. The paper's γ = 2
    is meant for few steps and a learned network, where a step's own ε errs in the direction of its change. It holds
    at σ = 0, unless last=euler; the first step, and one from α = 0, are Euler's.
    """
    order = 1 if to.sigma == 0 and last == "euler" else 2
    nodes, whole = select_eps_nodes(now, order), constant_eps_weight(now, to)
    return noise_step(now, to, nodes, [whole] if len(nodes) == 1 else [whole * gamma, whole * (1 - gamma)])
