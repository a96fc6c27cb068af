"""So many steps from each part of the chain: OpenAI's section counts."""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import round_ratio, spacing
from dtool.util.arrays import Array

Counts = Annotated[
    str, Field(description="steps in each part, cleanest first, as 10;15;20 (or, in quotes, commas); or ddim50")
]
_HINT = "write e.g. sections:counts=10;15;20 for 45 steps, or sections:counts=ddim50 for 50"


@spacing("sections", cite="arXiv:2102.09672, code (space_timesteps)")
def sections(schedule: Schedule, n: int, *, counts: Counts = "") -> Array:
    """The chain in parts of equal length, each with so many steps, evenly from its first to its last time.

    The counts come to the number of steps; without any there is one part with all of them. "ddim50" is the whole
    stride that gives 50 times from 0 on, if there is one.
    """
    if counts.startswith("ddim"):
        return _stride_times(schedule.T, n, counts)
    try:
        parts = [int(part) for part in re.split(r"[;,]", counts)] if counts else [n]
    except ValueError as error:
        raise UsageError(f"sections: cannot read the counts {counts!r}", _HINT) from error
    if sum(parts) != n or min(parts) < 1:
        raise UsageError(f"sections: {counts} is {sum(parts)} steps, not {n}", f"use --steps {sum(parts)}; {_HINT}")
    times: list[int] = []
    start = 0
    for i, count in enumerate(parts):
        size = schedule.T // len(parts) + (i < schedule.T % len(parts))
        if count > size:
            raise UsageError(f"sections: a part of {size} times has no {count} of them", "use smaller counts")
        times += [start + (round_ratio(k * (size - 1), count - 1) if count > 1 else 0) for k in range(count)]
        start += size
    return np.array(times[::-1])


def _stride_times(total: int, n: int, counts: str) -> Array:
    if counts != f"ddim{n}":
        raise UsageError(f"sections: {counts} is not {n} steps", f"write counts=ddim{n}")
    for stride in range(1, total + 1):
        times = range(0, total, stride)
        if len(times) == n:
            return np.array(times[::-1])
    raise UsageError(f"sections: no whole stride gives {n} times of {total}", "use leading, or another number of steps")
