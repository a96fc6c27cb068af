"""The log-SNR follows a Laplace distribution."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_lam
from dtool.schedulers.scheduler import scheduler


@scheduler("laplace", cite="arXiv:2407.03297, section 2.3")
def laplace(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    mu: Annotated[float, Field(description="the log-SNR where levels are densest")] = 0.0,
    b: Annotated[float, Field(gt=0, description="width: smaller is denser around mu")] = 0.5,
) -> Schedule:
    """Levels crowd around one log-SNR: μ - b·sgn(½-u)·ln(1-2|½-u|), at u = (t+½)/T, so that both ends are finite.

    diffusers' schedule of this name takes √ᾱ for ᾱ, and so has other levels.
    """
    away = 0.5 - (np.arange(T) + 0.5) / T
    log_snr = mu - b * np.sign(away) * np.log1p(-2 * np.abs(away))
    return from_lam(log_snr / 2)
