"""PLMS: the pseudo linear multistep method of PNDM, as latent diffusion uses it."""

from dtool.samplers.engines.adams import constant_eps_weight, equal_spacing_step
from dtool.samplers.rule import sampler

MAX_V_RATIO = (
    1000  # Heun's correction is a difference of ε times v; past this factor between the v, float32 has lost it
)


@sampler(
    "plms",
    order=2,
    startup_order=1,
    startup_calls=2,
    basis="eps",
    cite="arXiv:2202.09778, eq. 9-12",
    family="multistep",
)
def plms(now, to):
    """PLMS: Adams and Bashforth's classical weights on up to four values of ε, begun with a step of Heun's method.

    One network call per step, and one more in the first. Order 4 where the steps are equal in v = σ/α; on a grid that
    is graded smoothly, as all usual spacings are, the order is 2, and on an irregular one 1. A first step from α = 0,
    to σ = 0, or over more than a thousandfold of v, is Euler's.
    """
    if now.before is not None or to.sigma == 0 or now.v > MAX_V_RATIO * to.v:
        return equal_spacing_step(now, to, 4)
    guess = to.alpha / now.alpha * now.x + constant_eps_weight(now, to) * now.eps
    mid = yield guess, to
    return guess + constant_eps_weight(now, to) * (mid.eps - now.eps) / 2
