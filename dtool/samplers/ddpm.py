"""Denoising diffusion probabilistic models, Algorithm 2, and its noiseless ablation."""

from math import sqrt
from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.rule import sampler


@sampler(
    "ddpm",
    order=1,
    cite="arXiv:2006.11239, Algorithm 2",
    breaks={
        "sigma=beta": "σ² = β is the posterior's variance for data N(0, I); for other data it is too wide",
        "sigma=none": "the noiseless ablation: each step takes the posterior's mean, so the variance shrinks",
    },
)
def ddpm(
    now,
    to,
    z,
    *,
    sigma: Annotated[Literal["beta", "tilde", "none"], Field(description="σ_t² = β_t, β̃_t, or no noise")] = "tilde",
):
    """DDPM's reverse step: the posterior mean of q(x_{t-1} | x_t, x0), plus noise of variance β̃_t or β_t.

    One network call a step, order 1. β_t is that of the step really taken, τ = 1 - ᾱ_t/ᾱ_prev in a shortened chain,
    and β̃_t = (1-ᾱ_prev)/(1-ᾱ_t)·β_t. The last step, to the image, adds no noise.
    """
    tau = 1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2
    mean = to.alpha * now.x0 + to.sigma * sqrt(1 - tau) * now.eps
    if sigma == "none" or to.sigma == 0:
        return mean
    return mean + (now.sigma if sigma == "beta" else to.sigma) * sqrt(tau) * z
