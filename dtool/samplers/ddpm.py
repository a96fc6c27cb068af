"""Denoising diffusion probabilistic models, Algorithm 2, its noiseless ablation, and a variance that is learned."""

from math import hypot, sqrt
from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.claims import Breaks, Same
from dtool.samplers.engines.one_step import posterior_noise
from dtool.samplers.rule import sampler


@sampler(
    "ddpm",
    order=1,
    cite="arXiv:2006.11239, Algorithm 2; sigma=learned: arXiv:2102.09672, eq. 15",
    family="one step",
    same=Same("ddim:eta=1", when={"sigma": "tilde"}),
    breaks=(
        Breaks(
            "σ² = β is the posterior's variance for data N(0, I); for other data it is too wide", when={"sigma": "beta"}
        ),
        Breaks(
            "the noiseless ablation: each step takes the posterior's mean, so the variance shrinks",
            when={"sigma": "none"},
        ),
        Breaks("the network chooses σ² between β̃ and β; examined here is its upper end, β", when={"sigma": "learned"}),
    ),
)
def ddpm(
    now,
    to,
    z,
    *,
    sigma: Annotated[
        Literal["beta", "tilde", "none", "learned"],
        Field(description="σ_t² = β_t, β̃_t, no noise, or what the network says"),
    ] = "tilde",
):
    """DDPM's reverse step: the posterior mean of q(x_{t-1} | x_t, x0), plus noise of variance β̃_t or β_t.

    One network call per step, order 1. β_t is that of the step really taken, τ = 1 - ᾱ_t/ᾱ_prev in a shortened chain,
    and β̃_t = (1-ᾱ_prev)/(1-ᾱ_t)·β_t. The last step, to the image, adds no noise. `learned` is improved DDPM's
    β_t^f·β̃_t^(1-f), with f the second half of the output of a network that predicts it, number by number.
    """
    tau = 1 - (now.alpha * to.sigma / (to.alpha * now.sigma)) ** 2
    mean = to.alpha * now.x0 + to.sigma * sqrt(1 - tau) * now.eps
    if sigma == "none" or to.sigma == 0:
        return mean
    # √β_t of the variance-preserving chain, in the coordinates of `to`
    high = hypot(to.alpha, to.sigma) * now.sigma / hypot(now.alpha, now.sigma) * sqrt(tau)
    low = posterior_noise(now, to)
    if sigma == "learned":
        return mean + now.noise(low, high)
    return mean + (high if sigma == "beta" else low) * z
