"""Heun's method for the probability-flow ODE: the sampler of EDM."""

from dtool.samplers.rule import sampler


@sampler("heun", order=2, calls=2, cite="arXiv:2206.00364, algorithm 1")
def heun(now, to):
    """Heun's method (the trapezoid rule) in x̄ = x/α against v = σ/α, where dx̄/dv = ε.

    Two network calls a step, order 2; one call in the last step to σ = 0, where ε has no meaning, and in a first step
    from α = 0, where v is infinite. The trapezoid wants steps that are short in v: where a schedule ends at a very
    large v (cosine: 20,000), few steps need a spacing by noise level, such as karras.
    """
    guess = to.alpha * now.x0 + to.sigma * now.eps
    if to.sigma == 0 or now.alpha == 0:
        return guess
    mid = yield guess, to
    step = to.sigma - now.sigma * to.alpha / now.alpha  # α·(v_to - v)
    return guess + step * (mid.eps - now.eps) / 2
