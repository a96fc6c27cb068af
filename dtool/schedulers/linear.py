"""β rises linearly: the schedule of DDPM."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_betas
from dtool.schedulers.scheduler import scheduler


@scheduler("linear", cite="arXiv:2006.11239, section 4", scales_beta=True)
def linear(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    beta_start: Annotated[float, Field(gt=0, description="first β, at 1000 steps")] = 1e-4,
    beta_end: Annotated[float, Field(gt=0, description="last β, at 1000 steps")] = 0.02,
) -> Schedule:
    """DDPM's schedule: β from 1e-4 to 0.02, linearly.

    β is scaled by 1000/T, so that a shorter chain destroys the image as thoroughly (arXiv:2102.09672's code).
    """
    return from_betas(np.linspace(beta_start, beta_end, T) * (1000 / T))
