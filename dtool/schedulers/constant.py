"""β is the same at every step."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_betas
from dtool.schedulers.scheduler import scheduler


@scheduler("const", cite="arXiv:2006.11239, code", scales_beta=True)
def const(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    beta: Annotated[float, Field(gt=0, description="every β, at 1000 steps")] = 0.02,
) -> Schedule:
    """One β throughout: ᾱ falls as a power.

    β is scaled by 1000/T.
    """
    return from_betas(np.full(T, beta * (1000 / T)))


@scheduler("exp", cite="diffusers, betas_for_alpha_bar (exp)")
def exp(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    rate: Annotated[float, Field(gt=0, description="-log ᾱ at the noisy end")] = 12.0,
) -> Schedule:
    """ᾱ(u) = exp(-12 u): one β throughout, 1 - exp(-12/T), whatever T is."""
    return from_betas(np.full(T, -np.expm1(-rate / T)))
