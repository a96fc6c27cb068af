"""DPM-Solver++, multistep of order 2."""

from math import expm1

from dtool.samplers.rule import sampler


@sampler("dpmpp-2m", order=2, startup_order=1, cite="arXiv:2211.01095, algorithm 2")
def dpmpp_2m(now, to):
    """DPM-Solver++(2M): x0 extrapolated to the middle of the step from its last two values.

    One network call a step, order 2. The first step, a step from or to a level with infinite λ, and so the last step
    to σ = 0, are of order 1, where no slope of x0 in λ can be had.
    """
    h = to.lam - now.lam
    data = now.x0
    if now.before is not None and to.sigma > 0 and now.before.alpha > 0:
        r = (now.lam - now.before.lam) / h
        data = (1 + 1 / (2 * r)) * now.x0 - 1 / (2 * r) * now.before.x0
    return to.sigma / now.sigma * now.x - to.alpha * expm1(-h) * data
