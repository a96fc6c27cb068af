"""Measuring in turns, and what is said of the figures: medians with quartiles, ratios within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Quartiles(NamedTuple):
    """Lower quartile, median, upper quartile."""

    low: float
    median: float
    high: float


def in_turns(
    functions: Sequence[Callable[[], object]],
    rounds: int,
    *,
    warm: bool = True,
    before: Callable[[int], object] | None = None,
    settle: float = 0.0,
    repeats: int = 1,
) -> list[list[float]]:
    """Seconds of a call of each function in each round, `[function][round]`; the order is reversed every round.

    So a machine that warms up or slows down treats them alike. warm: call each once first, unmeasured. before(k):
    called before function k is, unmeasured. settle: seconds of rest before each turn, where the last one's threads may
    still be spinning. repeats: calls in a turn, of which the mean counts.
    """
    if warm:
        for function in functions:
            function()
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds):
        order = range(len(functions)) if turn % 2 == 0 else reversed(range(len(functions)))
        for k in order:
            time.sleep(settle)
            spent = 0.0
            for _ in range(repeats):
                if before is not None:
                    before(k)
                started = time.perf_counter()
                functions[k]()
                spent += time.perf_counter() - started
            times[k].append(spent / repeats)
    return times


def quartiles(values: Sequence[float]) -> Quartiles:
    """Lower quartile, median, upper quartile; the value itself if there is one only."""
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    return Quartiles(*statistics.quantiles(values, n=4, method="inclusive"))


def ratios(times: Sequence[float], reference: Sequence[float]) -> list[float]:
    """The ratio of two functions' times in each round: a busy moment of the machine is likely to hit both."""
    return [own / other for own, other in zip(times, reference, strict=True)]


def spread(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> str:
    """`median unit (lower quartile … upper quartile)`."""
    low, middle, high = quartiles(values)
    return f"{middle * scale:.4g} {unit} ({low * scale:.4g} … {high * scale:.4g})"
