"""Two arctangents after each other, over the levels of a straight flow."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import find_times
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array


@spacing("bong-tangent", cite="RES4LYF, code: its scheduler bong_tangent")
def bong_tangent(
    schedule: Schedule,
    n: int,
    *,
    pivot: Annotated[
        float, Field(gt=0, lt=1, description="where the two meet and each falls fastest, as a part of the steps")
    ] = 0.6,
    slope: Annotated[
        float, Field(gt=0, le=10, description="how much faster it falls there than at its ends, in 40 steps")
    ] = 0.2,
) -> Array:
    """On a straight flow: down to half of the noise by an arctangent, and to none of it by another.

    Steps are short at the noise, in the middle and at the image. σ here is σ/(α+σ), whatever the schedule's
    coordinates, and the two ends are the schedule's; RES4LYF's are 1 and 0. Times are fractional.
    """
    length = n + 2
    turn = min(max(int(length * pivot), 1), n)
    steepness = slope * 40 / length
    shares = _fall(length - turn, steepness, 0)
    if turn > 1:
        shares = np.concatenate([1 + _fall(turn, steepness, turn)[:-1], shares]) / 2
    clean, noisy = (schedule.sigma / (schedule.alpha + schedule.sigma))[[0, -1]]
    level = clean + (noisy - clean) * shares
    with np.errstate(divide="ignore"):
        times = find_times(schedule, level / (1 - level))
    times[0], times[-1] = schedule.T - 1, 0.0
    return times


def _fall(count: int, steepness: float, middle: int) -> Array:
    """`count` values of -arctan(steepness·(x - middle)) at x = 0, 1, …, moved and scaled to go from 1 to 0."""
    values = -np.arctan(steepness * (np.arange(count) - middle))
    return np.asarray((values - values[-1]) / (values[0] - values[-1]))
