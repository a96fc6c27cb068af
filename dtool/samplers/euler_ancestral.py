"""Euler's method with ancestral noise."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.one_step import ancestral_noise, one_step
from dtool.samplers.rule import sampler

Ancestral = Annotated[
    float, Field(ge=0, le=1, description="part of DDPM's noise that a step draws anew (ancestral): 0 none, 1 all")
]
NoiseScale = Annotated[
    float, Field(ge=0, description="multiplies the standard deviation of the fresh noise; only 1 keeps the marginals")
]
LOUDER = {"s_noise!=1.0": "the fresh noise is scaled by s_noise, against what the network makes blurred"}


@sampler(
    "euler-ancestral",
    order=1,
    cite="arXiv:2011.13456, appendix F; arXiv:2206.00364, algorithm 1 for its deterministic part",
    family="stochastic",
    same={"euler": "eta=0", "ddpm": "eta=1,s_noise=1", "ddim:eta=1": "eta=1,s_noise=1"},
    breaks=LOUDER,
)
def euler_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0):
    """Euler's method to a level below the next, and fresh noise up to it.

    One network call a step, order 1. η = 1 is ddpm:sigma=tilde, η = 0 euler. Of the variance at the next level,
    η²·β̃ is fresh. The last step, to the image, draws nothing.
    """
    return one_step(now, to, s_noise * z, ancestral_noise(now, to, eta))
