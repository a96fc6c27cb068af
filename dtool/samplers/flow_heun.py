"""Heun's method along a rectified flow."""

from dtool.samplers.engines.one_step import one_step
from dtool.samplers.rule import sampler


@sampler("flow-heun", order=2, calls=2, cite="arXiv:2209.03003, eq. 1; arXiv:2403.03206", family="flow")
def flow_heun(now, to):
    """Heun's method (the trapezoid rule) in x/(α+σ) against the flow's time s = σ/(α+σ), where the slope is ε - x0.

    Two network calls per step, order 2; one call in the last step to σ = 0. The flow's slope is finite at both ends, so
    a start from pure noise takes both calls. `heun` is the same rule in x/α against σ/α, another method; of Euler's
    method there is only one.
    """
    guess = one_step(now, to)
    if to.sigma == 0:
        return guess
    mid = yield guess, to
    scale = to.alpha + to.sigma
    step = to.sigma - scale * now.sigma / (now.alpha + now.sigma)  # (α'+σ')·(s' - s)
    return guess + step / 2 * ((mid.eps - mid.x0) - (now.eps - now.x0))
