"""√β rises linearly: the schedule of latent diffusion."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_betas
from dtool.schedulers.scheduler import scheduler


@scheduler("scaled-linear", cite="arXiv:2112.10752, code", scales_beta=True)
def scaled_linear(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    beta_start: Annotated[float, Field(gt=0, description="first β, at 1000 steps")] = 0.00085,
    beta_end: Annotated[float, Field(gt=0, description="last β, at 1000 steps")] = 0.012,
) -> Schedule:
    """Latent diffusion's schedule: √β from √0.00085 to √0.012, linearly.

    Three names for one thing: "scaled_linear" in diffusers, "linear" in the latent-diffusion code, "quad" in DDPM's.
    β is scaled by 1000/T.
    """
    return from_betas(np.linspace(beta_start**0.5, beta_end**0.5, T) ** 2 * (1000 / T))
