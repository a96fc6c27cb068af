"""Heun's method for the probability-flow ODE with its linear part solved exactly."""

from math import expm1

from dtool.samplers.rule import sampler


@sampler("exp-heun", order=2, calls=2, cite="Cox and Matthews 2002, doi:10.1006/jcph.2002.6995, ETD2RK")
def exp_heun(now, to):
    """d(x/σ)/dλ = exp(λ)·x0, integrated exactly for an x0 that changes linearly in λ between the step's two ends.

    Two network calls a step, order 2; one call in the last step to σ = 0 and in a first step from α = 0, where λ is
    infinite. heun, which shares its two calls, takes ε to change linearly in v = σ/α instead.
    """
    guess = to.alpha * now.x0 + to.sigma * now.eps
    if to.sigma == 0 or now.alpha == 0:
        return guess
    end = yield guess, to
    h = to.lam - now.lam
    return guess + to.alpha * (1 + expm1(-h) / h) * (end.x0 - now.x0)
