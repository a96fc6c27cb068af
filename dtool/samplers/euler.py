"""Euler's method for the probability-flow ODE."""

from dtool.samplers.rule import sampler


@sampler("euler", order=1, cite="arXiv:2206.00364, algorithm 1 without its second-order correction")
def euler(now, to):
    """Euler's method in x̄ = x/α against v = σ/α, where dx̄/dv = ε.

    One network call a step, order 1. x̄ + (v_to - v)·ε with x̄ = x0 + v·ε is x0 + v_to·ε, multiplied by α below so that
    it holds at α = 0 too. The same step as ddim with η = 0.
    """
    return to.alpha * now.x0 + to.sigma * now.eps
