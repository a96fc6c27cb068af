"""Which noise levels a network is trained on: how its times are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

TimeKind = Literal["uniform", "logit-normal"]


@dataclass(frozen=True)
class TimeDistribution:
    """A distribution of times 0 … count-1.

    `uniform` is Algorithm 1 of DDPM. `logit-normal` (arXiv:2403.03206, section 3.1): the share of the way to pure noise
    is 1/(1 + exp(-u)), u normal with `mean` and deviation `std`; the middle levels come oftener, the ends hardly ever.
    """

    count: int
    kind: TimeKind = "uniform"
    mean: float = 0.0
    std: float = 1.0

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Times (batch,) int64."""
        if self.kind == "uniform":
            return torch.randint(self.count, (batch,), generator=generator)
        normal = torch.randn(batch, generator=generator, dtype=torch.float64)
        share = torch.sigmoid(self.mean + self.std * normal)
        return (share * self.count).long().clamp(max=self.count - 1)
