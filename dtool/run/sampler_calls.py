"""The runs of a sampler's file that draw some images: how many images each takes, and which are made side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.plan.compiled_plan import Plan
from dtool.run.loop import StepRecord

IMAGES_PER_CALL = 32  # images of one call, between two signs of progress
BUSY = 0.9  # of the workers' time: if more of it is lost, runs with all threads, one after another, are as fast
MIN_EVALUATIONS = 256  # of a run from which on it pays to find out whether it can be made side by side
Feed = dict[str, NDArray[Any]]


class Execution(Protocol):
    """Runs of a file's session: one with all threads, or up to `workers` at the same time, of one thread each."""

    device: str
    workers: int

    def run(self, outputs: Sequence[str], feed: Feed) -> list[NDArray[Any]]:
        """One run."""

    def run_together(self, outputs: Sequence[str], feeds: Sequence[Feed]) -> list[list[NDArray[Any]]]:
        """These runs at the same time."""


@dataclass(frozen=True)
class Calls:
    """How many micro-batches run at the same time, and (their size, how many images) of each call."""

    workers: int
    groups: list[tuple[int, int]]


class SideBySide:
    """Runs of a file with several micro-batches at the same time, of one thread each, where that changes no bit."""

    def __init__(self, execution: Execution, feed_trial: Callable[[int, bool], Feed], output: str) -> None:
        """feed_trial(size, doubled): what a trial of a micro-batch is fed, each image twice in it or not."""
        self._execution, self._feed_trial, self._output = execution, feed_trial, output
        self.tried: dict[tuple[int, bool], bool] = {}  # whether such micro-batches may run so

    def arrange(self, sizes: Sequence[int], workers: int, doubled: bool, *, evaluations: int) -> Calls:
        """The calls that run micro-batches of these sizes, by so many workers if that pays and is allowed."""
        groups = group_calls(sizes, max(IMAGES_PER_CALL, workers * max(sizes)))
        if workers > 1 and evaluations >= MIN_EVALUATIONS and keep_busy(groups, workers):
            ways = {(size, doubled) for size, _ in groups}
            self.tried |= {way: self._has_same_bits(*way) for way in ways - self.tried.keys()}
            if all(self.tried[way] for way in ways):
                return Calls(workers, groups)
        return Calls(1, group_calls(sizes, IMAGES_PER_CALL))

    def _has_same_bits(self, size: int, doubled: bool) -> bool:
        """Whether a run of one thread gives the images the bits of one of all threads: a matter of kernels."""
        try:
            feed = self._feed_trial(size, doubled)
            [whole] = self._execution.run([self._output], feed)
            [[alone]] = self._execution.run_together([self._output], [feed])
        except DtoolError:
            return False
        return np.array_equal(whole, alone)

    def run(self, names: Sequence[str], feeds: Sequence[Feed], workers: int) -> list[NDArray[Any]]:
        """The outputs of all images, of one run or of several at the same time; in a trace they are the second axis."""
        if workers == 1:
            return self._execution.run(names, feeds[0])
        parts = self._execution.run_together(names, feeds)
        return [np.concatenate(arrays, axis=int(k > 1)) for k, arrays in enumerate(zip(*parts, strict=True))]


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


def select_steps(plan: Plan, images: Any, x: NDArray[Any], x0: NDArray[Any]) -> StepRecord:
    """The rows of a trace that begin a step."""
    return StepRecord([*x[plan.step_starts], images], list(x0[plan.step_starts]))
