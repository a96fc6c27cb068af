"""Timing that is fair to every contestant: they take turns, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median


def rounds(runs: Sequence[Callable[[], float]], repeats: int) -> list[list[float]]:
    """The seconds of each run in each of `repeats` rounds; a run returns what it took.

    Every other round goes backwards, so that none always follows the same one. Warm up before.
    """
    taken: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats):
        order = range(len(runs)) if turn % 2 == 0 else reversed(range(len(runs)))
        for i in order:
            taken[i].append(runs[i]())
    return taken


def medians(runs: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """The median seconds of each run over `rounds`."""
    return [median(seconds) for seconds in rounds(runs, repeats)]
