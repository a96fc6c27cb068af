"""ᾱ follows a squared cosine: the schedule of improved DDPM."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import MaxBeta, Schedule, TrainingSteps, from_alpha_bar
from dtool.schedulers.scheduler import scheduler

Offset = Annotated[float, Field(ge=0, description="offset that keeps the first β from vanishing")]


@scheduler("cosine", cite="arXiv:2102.09672, eq. 17")
def cosine(*, T: TrainingSteps = 1000, s: Offset = 0.008, max_beta: MaxBeta = 0.999) -> Schedule:  # noqa: N803
    """Nichol and Dhariwal's schedule: ᾱ(u) = cos²((u+s)/(1+s)·π/2), with β capped at 0.999."""
    return from_alpha_bar(lambda u: np.cos((u + s) / (1 + s) * np.pi / 2) ** 2, T, max_beta)
