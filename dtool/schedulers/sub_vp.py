"""The sub-variance-preserving process of the score-SDE paper."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps
from dtool.schedulers.scheduler import scheduler


@scheduler("sub-vp", cite="arXiv:2011.13456, eq. 27-29")
def sub_vp(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    beta_min: Annotated[float, Field(gt=0, description="β(0)")] = 0.1,
    beta_max: Annotated[float, Field(gt=0, description="β(1)")] = 20.0,
) -> Schedule:
    """The sub-VP-SDE: the mean of `vp`, with σ = 1 - α², less noise at every time; at u = (t+1)/T."""
    u = np.arange(1, T + 1) / T
    log_alpha = -(u**2) * (beta_max - beta_min) / 4 - u * beta_min / 2
    return Schedule(np.exp(log_alpha), -np.expm1(2 * log_alpha), coordinates="sub-vp")
