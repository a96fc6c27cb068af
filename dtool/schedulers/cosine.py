"""ᾱ follows a squared cosine: the schedule of improved DDPM."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_alpha_bar, scheduler


@scheduler("cosine", cite="arXiv:2102.09672, eq. 17")
def cosine(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    s: Annotated[float, Field(ge=0, description="offset that keeps the first β from vanishing")] = 0.008,
    max_beta: Annotated[float, Field(gt=0, le=1, description="cap on β; it acts on the last step only")] = 0.999,
) -> Schedule:
    """Nichol and Dhariwal's schedule: ᾱ(u) = cos²((u+s)/(1+s)·π/2), with β capped at 0.999."""
    return from_alpha_bar(lambda u: np.cos((u + s) / (1 + s) * np.pi / 2) ** 2, T, max_beta)
