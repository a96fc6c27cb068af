"""β follows a sigmoid in time."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_betas
from dtool.schedulers.scheduler import scheduler


@scheduler("sigmoid-beta", cite="arXiv:2203.02923, code", scales_beta=True)
def sigmoid_beta(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    beta_start: Annotated[float, Field(gt=0, description="lower end of β, at 1000 steps")] = 1e-4,
    beta_end: Annotated[float, Field(gt=0, description="upper end of β, at 1000 steps")] = 0.02,
) -> Schedule:
    """GeoDiff's schedule: β is a sigmoid of 12 units' width between `beta_start` and `beta_end`.

    β is scaled by 1000/T.
    """
    rise = 1 / (1 + np.exp(-np.linspace(-6, 6, T)))
    return from_betas((beta_start + (beta_end - beta_start) * rise) * (1000 / T))
