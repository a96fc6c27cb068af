"""Euler's method with ancestral noise."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import ancestral_noise, one_step
from dtool.samplers.engines.options import SCALED_NOISE, Ancestral, NoiseScale
from dtool.samplers.rule import sampler


@sampler(
    "euler-ancestral",
    order=1,
    cite="arXiv:2011.13456, appendix F; arXiv:2206.00364, algorithm 1 for its deterministic part",
    family="stochastic",
    same=(
        Same("euler", when={"eta": 0}),
        Same("ddpm", when={"eta": 1, "s_noise": 1}),
        Same("ddim:eta=1", when={"eta": 1, "s_noise": 1}),
    ),
    breaks=SCALED_NOISE,
)
def euler_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0):
    """Euler's method to a level below the next, and fresh noise up to it.

    One network call per step, order 1. η = 1 is ddpm:sigma=tilde, η = 0 euler. Of the variance at the next level,
    η²·β̃ is fresh. The last step, to the image, draws nothing.
    """
    return one_step(now, to, s_noise * z, ancestral_noise(now, to, eta))
