"""A network that predicts a variance too: its output has twice the channels, the second half for the noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dtool.plan.compiled_plan import Plan

Call = Callable[[Any, Any], Any]


class LearnedVariance:
    """A run's `calls` and `noise`, wrapped: the output's first half is the prediction, its second sizes the noise.

    Where the plan leaves the noise to the network, a row's c·z is c·(c_low/c)^((1-v)/2)·z with v the second half, which
    is improved DDPM's interpolation of log variances (arXiv:2102.09672, eq. 15). Elsewhere v is not looked at.
    """

    def __init__(self, plan: Plan, calls: Sequence[Call], noise: Iterator[Any], channels: int) -> None:
        """calls, noise: as the loop takes them (`dtool.run.loop.run`)."""
        self._noise, self._channels = noise, channels
        self.calls = [self._split(call) for call in calls]
        rows = plan.c != 0
        self._ratios = iter((plan.c_low[rows] / plan.c[rows]).tolist())
        self._v: Any = None

    def _split(self, call: Call) -> Call:
        """The prediction alone, and what it is compared with; the rest is kept for the row's noise."""

        def predict(x: Any, t: Any) -> Any:
            output = call(x, t)
            pair = output if isinstance(output, tuple) else (output,)
            self._v = pair[0][:, self._channels :]
            means = tuple(None if each is None else each[:, : self._channels] for each in pair)
            return means if isinstance(output, tuple) else means[0]

        return predict

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The row's noise c·z, scaled again number by number if its size is the network's to choose."""
        z, ratio = next(self._noise), next(self._ratios)
        return z if ratio == 1 else z * ratio ** ((1 - self._v) / 2)
