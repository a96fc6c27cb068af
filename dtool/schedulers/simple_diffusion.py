"""The shifted cosine of simple diffusion."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule, TrainingSteps, from_lam
from dtool.schedulers.scheduler import scheduler


@scheduler("simple-diffusion", cite="arXiv:2301.11093, section 3.1")
def simple_diffusion(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    image_d: Annotated[float, Field(gt=0, description="side of the images")] = 64.0,
    noise_d: Annotated[float, Field(gt=0, description="side at which the cosine is left as it is")] = 64.0,
    logsnr_max: Annotated[float, Field(description="log-SNR at u = 0, before the shift")] = 15.0,
    logsnr_min: Annotated[float, Field(description="log-SNR at u = 1, before the shift")] = -15.0,
) -> Schedule:
    """log-SNR = -2 ln tan(angle) + 2 ln(noise_d/image_d): the cosine between ±15, moved to the image's resolution.

    The angle goes evenly between the ends' own, at u = (t+1)/T. A larger image needs more noise.
    """
    if logsnr_min >= logsnr_max:
        raise UsageError(f"logsnr_min={logsnr_min} is not below logsnr_max={logsnr_max}", "give logsnr_min lower")
    clean, noisy = np.arctan(np.exp([-logsnr_max / 2, -logsnr_min / 2]))
    u = np.arange(1, T + 1) / T
    return from_lam(np.log(noise_d / image_d) - np.log(np.tan(clean + u * (noisy - clean))))
