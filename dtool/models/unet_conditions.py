"""What a U-Net is told besides a class: pictures beside its input, numbers and a text beside its time, tokens."""

from __future__ import annotations

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


class TextInput(BaseModel):
    """What a text encoder makes of a prompt: one vector `(B, width)`, or, with a length, tokens `(B, length, width)`.

    A vector is added to the time's embedding, as a class is; tokens are looked at by cross-attention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="text", min_length=1, max_length=100, pattern=NAME)
    width: int = Field(gt=0, le=1 << 16)
    length: int | None = Field(default=None, gt=0, le=1 << 12)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's."""
        return (self.width,) if self.length is None else (self.length, self.width)


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


class VectorEmbedding(nn.Module):
    """A text's vector (B, width_in), of whatever scale, → (B, width)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in)
        self.hidden = nn.Linear(width_in, width)
        self.out = nn.Linear(width, width)

    def forward(self, vector: Tensor) -> Tensor:
        """Its embedding, which is added to the time's."""
        result: Tensor = self.out(F.silu(self.hidden(self.norm(vector))))
        return result


class CrossAttention(nn.Module):
    """Attention of the H·W positions of x (B, C, H, W) to a text's tokens (B, L, width) → (B, C, H, W).

    Latent diffusion models (arXiv:2112.10752), section 3.3. Tokens that are padding are zeros, and are looked at too.
    """

    def __init__(self, channels: int, head_width: int, width: int) -> None:
        super().__init__()
        self.heads = max(1, channels // head_width)
        while channels % self.heads:
            self.heads -= 1
        self.norm = nn.GroupNorm(8, channels)
        self.token_norm = nn.LayerNorm(width)
        self.q = nn.Conv2d(channels, channels, 1)
        self.kv = nn.Linear(width, 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Residual scaled-dot-product attention."""
        _, channels, height, width = x.shape
        per_head = channels // self.heads
        q = self.q(self.norm(x)).reshape(-1, self.heads, per_head, height * width).transpose(2, 3)
        kv = self.kv(self.token_norm(tokens)).reshape(-1, tokens.shape[1], 2, self.heads, per_head)
        k, v = (part.transpose(1, 2) for part in kv.unbind(2))  # each (B, heads, L, channels of a head)
        h = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = x + self.out(h.transpose(2, 3).reshape(-1, channels, height, width))
        return result
