"""The variance-exploding process of the score-SDE paper."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule, TrainingSteps, from_lam
from dtool.schedulers.scheduler import scheduler


@scheduler("ve", cite="arXiv:2011.13456, section 3.4 and appendix C")
def ve(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    sigma_min: Annotated[float, Field(gt=0, description="the cleanest level")] = 0.01,
    sigma_max: Annotated[float, Field(gt=0, description="the noisiest level: as large as images are apart")] = 50.0,
) -> Schedule:
    """The VE-SDE: x = x0 + σ ε with σ a geometric sequence from `sigma_min` to `sigma_max`."""
    if sigma_min >= sigma_max:
        raise UsageError(f"sigma_min={sigma_min} is not below sigma_max={sigma_max}", "give sigma_min lower")
    return from_lam(np.linspace(-np.log(sigma_max), -np.log(sigma_min), T)[::-1], "ve")
