"""A logit-normal distribution over the training steps: dense in the middle."""

from __future__ import annotations

from math import exp
from statistics import NormalDist
from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array


@spacing("logit-normal", cite="arXiv:2403.03206, eq. 19, as training times; here their quantiles")
def logit_normal(
    schedule: Schedule,
    n: int,
    *,
    mean: Annotated[float, Field(ge=-5, le=5, description="larger: denser near the noise")] = 0.0,
    deviation: Annotated[float, Field(gt=0, le=5, description="smaller: denser in the middle")] = 1.0,
) -> Array:
    """Times at the quantiles 1, 1 - 1/n, … 1/n of a logit-normal distribution over 0 … T-1; times are fractional.

    For networks that were trained with times of this distribution, as Stable Diffusion 3 was.
    """
    normal = NormalDist(mean, deviation)
    shares = [1 / (1 + exp(-normal.inv_cdf(1 - k / n))) for k in range(1, n)]
    return (schedule.T - 1) * np.array([1.0, *shares])
