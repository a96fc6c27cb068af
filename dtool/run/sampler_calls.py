"""The runs of a sampler's file that draw some images: how many images each takes, and which are made side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

IMAGES_PER_CALL = 32  # images of one call, between two signs of progress
BUSY = 0.9  # of the workers' time: if more of it is lost, runs with all threads, one after another, are as fast
Feed = dict[str, NDArray[Any]]


class Execution(Protocol):
    """Runs of a file's session: one with all threads, or up to `workers` at the same time, of one thread each."""

    device: str
    workers: int

    def run(self, outputs: Sequence[str], feed: Feed) -> list[NDArray[Any]]:
        """One run."""

    def run_together(self, outputs: Sequence[str], feeds: Sequence[Feed]) -> list[list[NDArray[Any]]]:
        """These runs at the same time."""


def group_calls(sizes: Sequence[int], together: int) -> list[tuple[int, int]]:
    """(size of the micro-batches, how many images) of each call of the file: some `together`, of one size."""
    calls = []
    for size, equal in groupby(sizes):
        count = len(list(equal))
        most = max(1, together // size)
        calls += [(size, size * min(most, count - first)) for first in range(0, count, most)]
    return calls


def keep_busy(calls: Sequence[tuple[int, int]], workers: int) -> bool:
    """Whether so many workers nearly always all have a micro-batch to run, in these calls."""
    batches = [count // size for size, count in calls]
    return sum(batches) >= BUSY * workers * sum(-(-one // workers) for one in batches)


def share_images(index: NDArray[np.intp], size: int, workers: int) -> list[NDArray[np.intp]]:
    """The images of a call, in micro-batches of `size`, for each of the workers that has any."""
    most = size * -(-len(index) // (size * workers))
    return [part for part in np.split(index, range(most, len(index), most)) if len(part)]
