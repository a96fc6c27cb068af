"""Euler's method for the probability-flow ODE."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.runge_kutta import explicit_step
from dtool.samplers.rule import sampler


@sampler(
    "euler",
    order=1,
    cite="arXiv:2206.00364, algorithm 1 without its second-order correction",
    family="one step",
    same=(Same("ddim:eta=0"), Same("euler-ancestral:eta=0"), Same("edm-euler:churn=0")),
)
def euler(now, to):
    """Euler's method in x̄ = x/α against v = σ/α, where dx̄/dv = ε.

    One network call per step, order 1. x̄ + (v_to - v)·ε with x̄ = x0 + v·ε is x0 + v_to·ε, multiplied by α so that it
    holds at α = 0 too. The same step as ddim with η = 0, and as DPM-Solver and DPM-Solver++ of order 1.
    """
    return explicit_step(now, to)
