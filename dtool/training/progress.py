"""A run step by step: what the caller sees after each."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dtool.errors import DtoolError


@dataclass(frozen=True)
class Progress:
    """After a step: how many are done, the smoothed loss, and the speed since training began or went on here."""

    step: int
    loss: float
    rate: float
    seconds_per_step: float


class StepLoop(ABC):
    """What is trained in steps: `config` says how many, of how many images each; `step` of them are done."""

    config: Any
    step: int

    def run(self) -> Iterator[Progress]:
        """Train until `config.steps`; yields after every step, where the caller may look, save, or stop."""
        began, first = time.monotonic(), self.step
        smooth: Tensor | None = None
        while self.step < self.config.steps:
            loss = self._run_step()
            smooth = loss if smooth is None else smooth.lerp(loss, max(0.01, 1 / (self.step - first)))
            seconds = max(time.monotonic() - began, 1e-9) / (self.step - first)
            yield Progress(self.step, self._require_finite(smooth), self.config.batch_size / seconds, seconds)

    @abstractmethod
    def _run_step(self) -> Tensor:
        """Do a step, count it, and return its loss."""

    def _require_finite(self, loss: Tensor) -> float:
        value = float(loss)
        if value != value or value in (float("inf"), float("-inf")):
            raise DtoolError(f"the loss is {value} after step {self.step}: training diverged", "use a lower --lr")
        return value
