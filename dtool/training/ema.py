"""The moving average of the weights: what is sampled from, and what a checkpoint offers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of a network's parameters, warmed up so that the first weights are soon forgotten.

    After step k (0, 1, …) the average moves by 1 − min(decay, (1 + k) / (10 + k)); `decay` in [0, 1), 0 = no averaging.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from an average that was saved."""
        for name, value in self.average.items():
            value.copy_(state[name])
