"""PLMS: the pseudo linear multistep method of PNDM, as latent diffusion uses it."""

from dtool.samplers.adams import stretch
from dtool.samplers.ipndm import equal_steps
from dtool.samplers.rule import sampler

FAR = 1000  # Heun's correction is a difference of ε times v; past this factor between the v, float32 has lost it


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

    One network call a step, and one more in the first. Order 4 where the steps are equal in v = σ/α; on a grid that
    is graded smoothly, as all usual spacings are, the order is 2, and on an irregular one 1. A first step from α = 0,
    to σ = 0, or over more than a thousandfold of v, is Euler's.
    """
    if now.before is not None or to.sigma == 0 or now.v > FAR * to.v:
        return equal_steps(now, to, 4)
    guess = to.alpha / now.alpha * now.x + stretch(now, to) * now.eps
    mid = yield guess, to
    return guess + stretch(now, to) * (mid.eps - now.eps) / 2
