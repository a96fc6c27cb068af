"""Denoising diffusion implicit models, and their inversion."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import one_step, posterior_noise
from dtool.samplers.engines.options import UseClipped
from dtool.samplers.rule import sampler

FreshPart = Annotated[float, Field(ge=0, le=1, description="0: deterministic, 1: DDPM")]


@sampler(
    "ddim",
    order=1,
    cite="arXiv:2010.02502, eq. 12 and 16",
    family="one step",
    same=(Same("euler", when={"eta": 0}), Same("ddpm", when={"eta": 1})),
)
def ddim(now, to, z, *, eta: FreshPart = 0.0, use_clipped: UseClipped = True):
    """DDIM: to the predicted image and back out to the next level, with a part η of DDPM's noise.

    One network call per step, order 1. η = 0 is Euler's method for the probability-flow ODE; η = 1 is ddpm:sigma=tilde.
    Where the predicted image is clipped, ε follows from it; with use_clipped=false it is the network's own, and x
    leaves the marginal a little there (diffusers' default). Without clipping the two are one.
    """
    eps = now.eps if use_clipped else now.raw_eps
    return one_step(now, to, z, eta * posterior_noise(now, to), eps)
