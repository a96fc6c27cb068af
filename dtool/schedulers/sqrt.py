"""ᾱ falls as a square root: the schedule of Diffusion-LM."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import MaxBeta, Schedule, TrainingSteps, from_alpha_bar
from dtool.schedulers.scheduler import scheduler


@scheduler("sqrt", cite="arXiv:2205.14217, appendix A")
def sqrt(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    s: Annotated[float, Field(ge=0, lt=1, description="sets the noise at the start: variance √s")] = 1e-4,
    max_beta: MaxBeta = 0.999,
) -> Schedule:
    """Diffusion-LM's schedule for embedded words: ᾱ(u) = 1 - √(u+s), noisy from the first step on.

    Not latent diffusion's "sqrt", where β itself is the root.
    """
    return from_alpha_bar(lambda u: np.where(u == 0, 1.0, 1 - np.sqrt(u + s)), T, max_beta)
