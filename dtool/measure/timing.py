"""Timing that is fair to all, who take turns; medians with quartiles, and ratios within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple


class Quartiles(NamedTuple):
    """Lower quartile, median, upper quartile."""

    low: float
    median: float
    high: float


def take_turns(runs: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """The seconds that each run returns, in each of `rounds` rounds, `[run][round]`; every other round goes backwards.

    So none always follows the same one, and a busy moment, or a machine that warms up, affects them alike. Warm up
    before.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for turn in range(rounds):
        order = range(len(runs)) if turn % 2 == 0 else reversed(range(len(runs)))
        for i in order:
            seconds[i].append(runs[i]())
    return seconds


def measure_medians(runs: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """The median of the seconds that each run returns, over `rounds` rounds in turns."""
    return [statistics.median(seconds) for seconds in take_turns(runs, rounds)]


def time_in_turns(
    functions: Sequence[Callable[[], object]],
    rounds: int,
    *,
    warm: bool = True,
    before: Callable[[int], object] | None = None,
    settle: float = 0.0,
    repeats: int = 1,
) -> list[list[float]]:
    """Seconds of a call of each function in each round, `[function][round]`, by the clock; they `take_turns`.

    warm: call each once first, unmeasured. before(k): called before function k is, unmeasured. settle: seconds of rest
    before each turn, where the last one's threads may still be spinning. repeats: calls in a turn, of which the mean
    counts.
    """

    def time_turn(k: int) -> float:
        time.sleep(settle)
        spent = 0.0
        for _ in range(repeats):
            if before is not None:
                before(k)
            started = time.perf_counter()
            functions[k]()
            spent += time.perf_counter() - started
        return spent / repeats

    if warm:
        for function in functions:
            function()
    return take_turns([partial(time_turn, k) for k in range(len(functions))], rounds)


def quartiles(values: Sequence[float]) -> Quartiles:
    """Lower quartile, median, upper quartile; the value itself if there is one only."""
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    return Quartiles(*statistics.quantiles(values, n=4, method="inclusive"))


def ratios(times: Sequence[float], reference: Sequence[float]) -> list[float]:
    """The ratio of two functions' times in each round, since a busy moment of the machine is likely to slow both."""
    return [own / other for own, other in zip(times, reference, strict=True)]


def format_spread(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> str:
    """`median unit (lower quartile … upper quartile)`."""
    low, middle, high = quartiles(values)
    return f"{middle * scale:.4g} {unit} ({low * scale:.4g} … {high * scale:.4g})"
