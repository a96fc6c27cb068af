"""DPM-Solver, single-step of order 2 and 3: exponential Runge-Kutta methods for ε in λ."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.options import Middle, Weights
from dtool.samplers.engines.runge_kutta import (
    explicit_step,
    is_end_step,
    kernel_mean,
    point_between,
    three_stage_step,
    two_stage_step,
)
from dtool.samplers.rule import sampler


@sampler(
    "dpm-solver-2s",
    order=2,
    calls=2,
    cite="arXiv:2206.00927, algorithm 4 (algorithm 1 for r = 1/2)",
    family="Runge-Kutta",
    same=Same("dpm2", when={"r": 0.5, "weights": "half"}),
)
def dpm_solver_2s(now, to, *, r: Middle = 0.5, weights: Weights = "half"):
    """DPM-Solver-2: ε at a level r of the way in λ gives its slope over the step.

    Two network calls per step, order 2; one call where the step is to σ = 0 or from α = 0. With r = ½ it is dpm2. For
    guided sampling prefer dpmpp-2s, which holds x0 instead of ε.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    weight = 1 / (2 * r) if weights == "half" else kernel_mean(to.lam - now.lam) / r
    x, _ = yield from two_stage_step(now, to, point_between(now, to, r), weight)
    return x


@sampler("dpm-solver-3s", order=3, calls=3, cite="arXiv:2206.00927, algorithm 2", family="Runge-Kutta")
def dpm_solver_3s(now, to):
    """DPM-Solver-3: ε at a third and at two thirds of the way in λ.

    Three network calls per step, order 3; one call where the step is to σ = 0 or from α = 0. For unguided sampling with
    steps that are even in λ.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    return (yield from three_stage_step(now, to, "eps"))
