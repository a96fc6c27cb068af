"""Heun's method for the probability-flow ODE: the sampler of EDM."""

from math import log1p
from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_at, two_stage_step
from dtool.samplers.rule import sampler

SecondCall = Annotated[
    float, Field(gt=0, le=1, description="where the second call is, in v; 1: Heun, 2/3: Ralston, 1/2: midpoint")
]


@sampler(
    "heun",
    order=2,
    calls=2,
    cite="arXiv:2206.00364, algorithm 1, and algorithm 3 for alpha",
    family="Runge-Kutta",
    same=(Same("dpm2:power=1", when={"alpha": 0.5}), Same("edm-heun:churn=0", when={"alpha": 1})),
)
def heun(now, to, *, alpha: SecondCall = 1.0):
    """Heun's method (the trapezoid rule) in x̄ = x/α against v = σ/α, where dx̄/dv = ε.

    Two network calls per step, order 2; one call in the last step to σ = 0, where ε has no meaning, and in a first step
    from α = 0, where v is infinite. The trapezoid wants steps that are short in v: where a schedule ends at a very
    large v (cosine: 20,000), few steps need a spacing by noise level, such as karras. With `alpha` below 1 the second
    call is nearer, and its weight 1/(2·alpha) greater: EDM's family of methods of order 2.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    at = to if alpha == 1 else point_at(now, to, now.lam - log1p(alpha * (to.v / now.v - 1)))
    x, _ = yield from two_stage_step(now, to, at, 1 / (2 * alpha))
    return x
