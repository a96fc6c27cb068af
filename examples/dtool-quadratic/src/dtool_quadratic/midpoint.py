"""The midpoint rule for the probability-flow ODE: DPM-Solver-2."""

from math import hypot, sqrt

import dtool


@dtool.sampler("midpoint", order=2, calls=2, cite="arXiv:2206.00927, algorithm 1", same=dtool.Same("dpm2"))
def midpoint(now, to):
    """Half a step by Euler's method, then the whole step with the ε found there; x̄ = x/α, v = σ/α, dx̄/dv = ε.

    Two network calls per step, order 2; one call in the last step to σ = 0 and in a first step from α = 0, which have
    no middle. The middle is that of λ = -log v: the geometric mean of v, a level that need not be the schedule's.
    """
    if to.sigma == 0 or now.alpha == 0:
        return to.alpha * now.x0 + to.sigma * now.eps
    v = sqrt(now.v * to.v)
    half = dtool.Point(alpha=1 / hypot(1, v), sigma=v / hypot(1, v))
    mid = yield half.alpha * now.x0 + half.sigma * now.eps, half
    return to.alpha * (now.x / now.alpha + (to.v - now.v) * mid.eps)
