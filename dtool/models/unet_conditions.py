"""What a U-Net is told besides a class: pictures beside its input, and numbers beside its time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class PictureInput(BaseModel):
    """A picture (B, channels, H/factor, W/factor) that is laid beside x (B, *, H, W), enlarged to its size.

    hidden_by: the name of another, of one channel; where that is above 0, this one counts as 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=NAME)
    channels: int = Field(gt=0, le=1 << 10)
    factor: int = Field(default=1, gt=0, le=64)
    hidden_by: str | None = None


def lay_beside(x: Tensor, inputs: Sequence[PictureInput], given: Mapping[str, Tensor]) -> Tensor:
    """x (B, C, H, W) with the channels of the pictures behind its own."""
    parts = [x]
    for one in inputs:
        picture = given[one.name]
        if one.hidden_by is not None:
            picture = torch.where(given[one.hidden_by] > 0, torch.zeros_like(picture), picture)
        if picture.shape[-2:] != x.shape[-2:]:
            picture = F.interpolate(picture, size=x.shape[-2:], mode="bilinear", align_corners=False)
        parts.append(picture)
    return torch.cat(parts, dim=1)


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of the (fractional) time `t` (B,): (B, width), wave lengths from 2π to 2π·10,000 (DDPM, appendix B)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(1e4) / half))
    angles = t.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class NumberEmbedding(nn.Module):
    """Numbers (B,) each, mostly in 0 … 1, → (B, width); it starts at zero, and so changes nothing."""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.hidden = nn.Linear(len(self.names), width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:
        """One embedding of all numbers together."""
        numbers = torch.stack([given[name] for name in self.names], dim=1)
        result: Tensor = self.out(F.silu(self.hidden(numbers)))
        return result
