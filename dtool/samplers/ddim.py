"""Denoising diffusion implicit models."""

from math import sqrt
from typing import Annotated

from pydantic import Field

from dtool.samplers.rule import sampler


@sampler("ddim", order=1, cite="arXiv:2010.02502, eq. 12 and 16")
def ddim(now, to, z, *, eta: Annotated[float, Field(ge=0, le=1, description="0: deterministic, 1: DDPM")] = 0.0):
    """DDIM: to the predicted image and back out to the next level, with a part η of DDPM's noise.

    One network call a step, order 1. η = 0 is Euler's method for the probability-flow ODE; η = 1 is ddpm:sigma=tilde.
    """
    tau = 1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2
    noise = eta * to.sigma * sqrt(tau)
    return to.alpha * now.x0 + sqrt(to.sigma**2 - noise**2) * now.eps + noise * z
