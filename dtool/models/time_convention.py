"""What a network is told as its time: an index of its schedule, or one of the other numbers in use."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dtool.schedulers.schedule import Schedule

TimeConvention = Literal["index", "index+1", "u", "sigma", "log-sigma/4"]
TIME_CONVENTIONS: tuple[TimeConvention, ...] = get_args(TimeConvention)


def tell_times(convention: TimeConvention, schedule: Schedule, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a network is told for `times`, (fractional) indices 0 … T-1 into the schedule that it was trained under.

    index: as they are. index+1: 1000·σ of a flow network of 1000 steps. u: (index+1)/T, 0 … 1. sigma: σ of the level,
    in the schedule's own coordinates. log-sigma/4: ln(σ)/4 (arXiv:2206.00364, table 1, c_noise).

    >>> import numpy as np
    >>> from dtool.models.time_convention import tell_times
    >>> tell_times("u", dtool.get_scheduler("linear"), np.array([0.0, 499.0, 999.0])).tolist()
    [0.001, 0.5, 1.0]
    """
    if convention == "index":
        return times
    if convention == "index+1":
        return times + 1
    if convention == "u":
        return (times + 1) / schedule.T
    sigma = np.asarray(schedule.level(times)[1], dtype=np.float64)
    return sigma if convention == "sigma" else np.log(sigma) / 4
