"""The levels of diffusers' flow-matching schedulers, and of its multistep classes on flows."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import find_times
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array

NEARLY_NOISE = 1 - 1e-6  # UniPC's first level: at 1 itself the logarithm of its α would be infinite
SNAP = 1e-7  # so far from a whole time, a level is that of the whole time


@spacing("flow-sigmas", cite="arXiv:2403.03206, eq. 23; diffusers, FlowMatchEulerDiscreteScheduler")
def flow_sigmas(
    schedule: Schedule,
    n: int,
    *,
    shift: Annotated[float, Field(gt=0, description="σ becomes kσ/(1+(k-1)σ): more steps where it is noisy")] = 1.0,
    ends: Annotated[
        Literal["closed", "twice", "even", "open", "below"],
        Field(description="before the shift: both ends in; FlowMatchEuler's; 1 … 1/n, Flux's; UniPC's; DPM-Solver's"),
    ] = "closed",
    terminal: Annotated[
        float, Field(ge=0, lt=1, description="after the shift, stretch so that the cleanest σ is this; 0 leaves it")
    ] = 0.0,
) -> Array:
    """On a straight flow: levels σ evenly from the noise down, and then shifted.

    `shift` moves the levels on the schedule that the network was trained on, and leaves that as it is. ends=twice ends
    at the schedule's cleanest level shifted a first time, as diffusers' FlowMatchEuler; open and below have one level
    more, which is left out, and are what its multistep classes call flow sigmas: network_time=floor tells the network
    what they do. σ here is σ/(α+σ), whatever the schedule's coordinates. Times are fractional.
    """
    clean, noisy = (schedule.sigma / (schedule.alpha + schedule.sigma))[[0, -1]]
    if ends == "even":
        level = noisy * np.arange(n, 0, -1) / n
    elif ends in ("open", "below"):
        below = 0.0 if ends == "open" else float(clean)
        level = np.linspace(noisy - below, clean - below, n + 1)[:-1]
    else:
        level = np.linspace(noisy, _shift(clean, shift) if ends == "twice" else clean, n)
    level = _shift(level, shift)
    if terminal and n > 1:
        level = 1 - (1 - level) * (1 - terminal) / (1 - level[-1])
    level = np.minimum(level, noisy * NEARLY_NOISE if ends == "open" else noisy)
    with np.errstate(divide="ignore"):
        times = find_times(schedule, level / (1 - level))
    return np.where(np.abs(times - np.round(times)) < SNAP, np.round(times), times)


def _shift(level: Array, k: float) -> Array:
    return k * level / (1 + (k - 1) * level)
