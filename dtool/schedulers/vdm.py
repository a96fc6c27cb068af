"""The two fixed schedules of variational diffusion models, given by their log-SNR."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import MaxBeta, Schedule, TrainingSteps, from_alpha_bar, from_lam
from dtool.schedulers.scheduler import scheduler


@scheduler("vdm-linear", cite="arXiv:2107.00630")
def vdm_linear(*, T: TrainingSteps = 1000) -> Schedule:  # noqa: N803
    """The limit of DDPM's β for many steps: log-SNR = -ln(exp(10⁻⁴ + 10 u²) - 1), at u = (t+1)/T."""
    u = np.arange(1, T + 1) / T
    return from_lam(-np.log(np.expm1(1e-4 + 10 * u**2)) / 2)


@scheduler("vdm-cosine", cite="arXiv:2107.00630")
def vdm_cosine(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    s: Annotated[float, Field(ge=0, description="offset: the noise at u = 0")] = 0.008,
    max_beta: MaxBeta = 0.999,
) -> Schedule:
    """ᾱ(u) = cos²((u+s)/(1+s)·π/2), as `cosine` but not divided by its value at 0: noisier at the clean end."""
    return from_alpha_bar(lambda u: np.where(u == 0, 1.0, np.cos((u + s) / (1 + s) * np.pi / 2) ** 2), T, max_beta)
