"""A network that predicts a variance too: its output has twice the channels, the second half for the noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtool.plan.plan import Plan


class LearnedVariance:
    """Wraps a run's `predict` and `noise`: the first half of the output is the prediction, the second sizes the noise.

    Where the plan leaves the noise to the network, a row's c·z is c·(c_low/c)^((1-v)/2)·z with v the second half, which
    is improved DDPM's interpolation of log variances (arXiv:2102.09672, eq. 15). Elsewhere v is not looked at.
    """

    def __init__(
        self, plan: Plan, predict: Callable[[Any, Any], Any], noise: Callable[[int], Any], channels: int
    ) -> None:
        self._predict, self._noise, self._channels = predict, noise, channels
        self._ratios = [low / high if high else 1.0 for low, high in zip(plan.c_low, plan.c, strict=True)]
        self._v: Any = None

    def predict(self, x: Any, t: Any) -> Any:
        """The prediction alone; the rest is kept for the row's noise."""
        output = self._predict(x, t)
        self._v = output[:, self._channels :]
        return output[:, : self._channels]

    def noise(self, row: int) -> Any:
        """The row's noise, scaled number by number if its size is the network's to choose."""
        z, ratio = self._noise(row), self._ratios[row]
        return z if ratio == 1 else z * float(ratio) ** ((1 - self._v) / 2)
