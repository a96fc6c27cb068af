"""ᾱ follows a sigmoid in time."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import MaxBeta, Schedule, TrainingSteps, from_alpha_bar
from dtool.schedulers.scheduler import scheduler
from dtool.util.arrays import Array


@scheduler("sigmoid", cite="arXiv:2212.11972, algorithm 1")
def sigmoid(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    start: Annotated[float, Field(description="where on the sigmoid the clean end lies")] = -3.0,
    end: Annotated[float, Field(description="where on the sigmoid the noisy end lies")] = 3.0,
    tau: Annotated[float, Field(gt=0, description="temperature: smaller is steeper")] = 1.0,
    max_beta: MaxBeta = 0.999,
) -> Schedule:
    """Chen's schedule: ᾱ(u) falls as a sigmoid from 1 to 0 between `start` and `end`.

    Not to be confused with sigmoid-beta, where β itself is the sigmoid.
    """
    if start >= end:
        raise UsageError(f"sigmoid: start={start} is not below end={end}", "give start < end")

    def logistic(u: Array) -> Array:
        return 1 / (1 + np.exp(-(u * (end - start) + start) / tau))

    first, last = logistic(np.array([0.0, 1.0]))
    return from_alpha_bar(lambda u: (last - logistic(u)) / (last - first), T, max_beta)
