"""DPM-Solver, single-step of order 2 and 3: exponential Runge-Kutta methods for ε in λ."""

from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import ended, explicit, lean, part, three_stages, two_stages

Middle = Annotated[float, Field(gt=0, le=1, description="where the second call is, as a part of the step in λ")]
Weights = Annotated[
    Literal["half", "exact"],
    Field(description="of the second call: 1/2r, as in the paper, or what the exponential kernel asks"),
]


@sampler(
    "dpm-solver-2s",
    order=2,
    calls=2,
    cite="arXiv:2206.00927, algorithm 4 (algorithm 1 for r = 1/2)",
    family="Runge-Kutta",
    same={"dpm2": "r=0.5,weights=half"},
)
def dpm_solver_2s(now, to, *, r: Middle = 0.5, weights: Weights = "half"):
    """DPM-Solver-2: ε at a level r of the way in λ gives its slope over the step.

    Two network calls a step, order 2; one call where the step is to σ = 0 or from α = 0. With r = ½ it is dpm2. For
    guided sampling prefer dpmpp-2s, which holds x0 instead of ε.
    """
    if ended(now, to):
        return explicit(now, to)
    weight = 1 / (2 * r) if weights == "half" else lean(to.lam - now.lam) / r
    x, _ = yield from two_stages(now, to, part(now, to, r), weight)
    return x


@sampler("dpm-solver-3s", order=3, calls=3, cite="arXiv:2206.00927, algorithm 2", family="Runge-Kutta")
def dpm_solver_3s(now, to):
    """DPM-Solver-3: ε at a third and at two thirds of the way in λ.

    Three network calls a step, order 3; one call where the step is to σ = 0 or from α = 0. For unguided sampling with
    steps that are even in λ.
    """
    if ended(now, to):
        return explicit(now, to)
    return (yield from three_stages(now, to, "eps"))
