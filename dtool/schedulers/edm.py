"""Noise of a given σ is added to the image: the coordinates of EDM."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule, TrainingSteps, from_lam
from dtool.schedulers.scheduler import scheduler


@scheduler("edm", cite="arXiv:2206.00364, table 1 and eq. 5")
def edm(
    *,
    T: Annotated[TrainingSteps, Field(description="levels in the table")] = 1000,  # noqa: N803
    sigma_min: Annotated[float, Field(gt=0, description="the cleanest level")] = 0.002,
    sigma_max: Annotated[float, Field(gt=0, description="the noisiest level")] = 80.0,
    rho: Annotated[float, Field(gt=0, description="how the levels are spread: σ^(1/rho) is even in t")] = 7.0,
) -> Schedule:
    """x = x0 + σ ε with σ from 0.002 to 80.

    EDM has σ itself for its time. t here is only the index of a level, 0 the cleanest, spread as by eq. 5: what a
    network is told, ¼ ln σ say, follows from the level.
    """
    if sigma_min >= sigma_max:
        raise UsageError(f"sigma_min={sigma_min} is not below sigma_max={sigma_max}", "give sigma_min lower")
    u = np.linspace(1, 0, T)[::-1]
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return from_lam(-rho * np.log(low + u * (high - low)), "ve")
