"""Euler's method for the probability-flow ODE."""

from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import explicit


@sampler(
    "euler",
    order=1,
    cite="arXiv:2206.00364, algorithm 1 without its second-order correction",
    family="one step",
    same={"ddim:eta=0": "", "euler-ancestral:eta=0": "", "edm-euler:churn=0": ""},
)
def euler(now, to):
    """Euler's method in x̄ = x/α against v = σ/α, where dx̄/dv = ε.

    One network call a step, order 1. x̄ + (v_to - v)·ε with x̄ = x0 + v·ε is x0 + v_to·ε, multiplied by α so that it
    holds at α = 0 too. The same step as ddim with η = 0, and as DPM-Solver and DPM-Solver++ of order 1.
    """
    return explicit(now, to)
