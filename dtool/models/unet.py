"""A small U-Net `F(x, t[, label][, conditions])`: ResNet blocks, sinusoidal times, attention at low resolution.

The network of DDPM (arXiv:2006.11239, appendix B) with what later papers agreed on: the embedding scales and shifts
after the second GroupNorm (arXiv:2105.05233), the last convolution of every residual starts at zero.
Sizes need not be powers of two: on the way up, each level is resized to its skip connection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Self

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dtool.errors import UsageError
from dtool.models.consistent_upscaling import ConsistentUpscaling, UpscalingConfig
from dtool.models.spec import MAX_CLASSES
from dtool.models.unet_conditions import NAME, NumberEmbedding, PictureInput, lay_beside, time_embedding


class UNetConfig(BaseModel):
    """Everything that fixes a U-Net's shape; plain JSON, stored in every checkpoint.

    `width` is the number of channels at full resolution, `multipliers` has one entry a level (each level halves the
    size), `attention` names the levels (0 = full resolution) that have self-attention besides the middle. `pictures`
    and `numbers` are its conditions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(gt=0, le=1 << 16, description="channels of x")
    width: int = Field(default=32, gt=0, le=1 << 16, multiple_of=8)
    multipliers: tuple[int, ...] = Field(default=(1, 2, 2), min_length=1, max_length=16)
    blocks: int = Field(default=1, gt=0, le=64, description="ResNet blocks a level, each way")
    patch: int = Field(default=1, gt=0, le=64, description="so many pixels, squared, are folded into the channels")
    attention: tuple[int, ...] = Field(default=(), max_length=16)
    head_width: int = Field(default=32, gt=0, le=1 << 16, description="channels of one attention head")
    classes: int = Field(
        default=0, ge=0, le=MAX_CLASSES, description="0: not conditional; the label `classes` means no class"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1)
    pictures: tuple[PictureInput, ...] = Field(default=(), max_length=16)
    numbers: tuple[Annotated[str, Field(max_length=100, pattern=NAME)], ...] = Field(default=(), max_length=16)
    upscaling: UpscalingConfig | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(not 1 <= m <= 1024 for m in self.multipliers):
            raise ValueError(f"multipliers are at least 1 and at most 1024, not {self.multipliers}")
        if any(not 0 <= level < len(self.multipliers) for level in self.attention):
            raise ValueError(f"attention names a level outside 0 … {len(self.multipliers) - 1}: {self.attention}")
        names = self.told
        if len({*names, "x", "t", "label"}) != len(names) + 3:
            raise ValueError(f"two conditions of {', '.join(names)} share a name, or one is called x, t or label")
        masks = {one.name: one for one in self.pictures if one.channels == 1 and one.factor == 1}
        if any(one.hidden_by is not None and (one.hidden_by not in masks or one.factor > 1) for one in self.pictures):
            raise ValueError("what hides a picture is another one of its size, of one channel")
        if self.upscaling is not None:
            self.upscaling.require_conditions(self.channels, self.pictures, self.numbers)
        return self

    @property
    def told(self) -> tuple[str, ...]:
        """The names of its conditions."""
        return (*(one.name for one in self.pictures), *self.numbers)

    @classmethod
    def for_shape(cls, shape: tuple[int, ...], *, classes: int = 0, width: int | None = None) -> UNetConfig:
        """Sensible defaults for images of `shape` (C, H, W): levels down to about 7 pixels, attention at the last.

        Few channels at full size and many below: most of a U-Net's time is spent at full size, little of its knowledge.
        """
        if len(shape) != 3:
            raise UsageError(f"a U-Net works on images (C, H, W), not on shape {shape}", "pass a network of your own")
        size = min(shape[1:])
        levels = max(1, min(4, 1 + math.floor(math.log2(max(size, 7) / 7 + 1e-9))))
        usual, multipliers = (64, (1,)) if size < 14 else (16, (1, 4, 4)) if size < 56 else (32, (1, 2, 4, 4))
        return cls(
            channels=shape[0],
            width=width or usual,
            multipliers=multipliers[:levels],
            attention=(levels - 1,) if size / 2 ** (levels - 1) <= 16 else (),
            classes=classes,
        )


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a residual's last layer at zero, so that the block begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResBlock(nn.Module):
    """x (B, in, H, W), embedding (B, E) → (B, out, H, W)."""

    def __init__(self, width_in: int, width_out: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = _norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * width_out)
        self.norm2 = _norm(width_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = _zero(nn.Conv2d(width_out, width_out, 3, padding=1))
        self.skip = nn.Conv2d(width_in, width_out, 1) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Residual: the embedding scales and shifts the normalised middle."""
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(self.norm2(h) * (1 + scale) + shift)
        result: Tensor = self.skip(x) + self.conv2(self.dropout(h))
        return result


class Attention(nn.Module):
    """Self-attention over the H·W positions, x (B, C, H, W) → (B, C, H, W)."""

    def __init__(self, channels: int, head_width: int) -> None:
        super().__init__()
        self.heads = max(1, channels // head_width)
        while channels % self.heads:
            self.heads -= 1
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Residual scaled-dot-product attention."""
        _, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(-1, 3, self.heads, channels // self.heads, height * width)
        q, k, v = (part.transpose(2, 3) for part in qkv.unbind(1))  # each (B, heads, H·W, channels of a head)
        h = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = x + self.out(h.transpose(2, 3).reshape(-1, channels, height, width))
        return result


class UNetLevel(nn.Module):
    """The blocks of one level, each with the attention that follows it where there is one.

    recompute: keep no block's inside for the gradient, but compute it again (arXiv:1604.06174): less memory, more time.
    """

    recompute = False

    def __init__(self, widths: list[tuple[int, int]], embedding: int, config: UNetConfig, attention: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResBlock(i, o, embedding, config.dropout) for i, o in widths)
        self.attention = nn.ModuleList(
            Attention(o, config.head_width) if attention else nn.Identity() for _, o in widths
        )

    def forward(self, h: Tensor, embedding: Tensor, skips: list[Tensor] | None = None) -> list[Tensor]:
        """The result of every block; on the way up each also takes the last of `skips` beside its input."""
        results: list[Tensor] = []
        for block, attention in zip(self.blocks, self.attention, strict=True):
            h = h if skips is None else torch.cat([h, skips.pop()], dim=1)
            if self.recompute and torch.is_grad_enabled():
                h = checkpoint(block, h, embedding, use_reentrant=False)
            else:
                h = block(h, embedding)
            h = attention(h)
            results.append(h)
        return results


class UNet(nn.Module):
    """`F(x, t[, label][, conditions])`: x (B, C, H, W) → the same shape, any H and W.

    It takes a label if `config.classes`, and the conditions of `config.told` by their names.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        embedding = 4 * config.width
        widths = [config.width * m for m in config.multipliers]
        self.time = nn.Sequential(nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label = nn.Embedding(config.classes + 1, embedding) if config.classes else None
        self.number = NumberEmbedding(config.numbers, embedding) if config.numbers else None
        folded = config.channels * config.patch**2
        beside = sum(one.channels for one in config.pictures) * config.patch**2
        self.first = nn.Conv2d(folded + beside, config.width, 3, padding=1)

        def level(i: int, pairs: list[tuple[int, int]]) -> UNetLevel:
            return UNetLevel(pairs, embedding, config, i in config.attention)

        before = [config.width, *widths]
        self.down = nn.ModuleList(
            level(i, [(before[i], w)] + [(w, w)] * (config.blocks - 1)) for i, w in enumerate(widths)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, stride=2, padding=1) for w in widths[:-1])
        self.middle = UNetLevel([(widths[-1], widths[-1])] * 2, embedding, config, False)
        self.middle_attention = Attention(widths[-1], config.head_width)
        self.up = nn.ModuleList(level(i, [(2 * w, w)] * config.blocks) for i, w in enumerate(widths))
        self.grow = nn.ModuleList(nn.Conv2d(deep, w, 3, padding=1) for w, deep in pairwise(widths))
        self.upscaling = ConsistentUpscaling(config.upscaling) if config.upscaling else None
        self.norm = _norm(config.width)
        self.last = _zero(nn.Conv2d(config.width, folded, 3, padding=1))

    def embed(self, t: Tensor, label: Tensor | None, told: Mapping[str, Tensor]) -> Tensor:
        """Time (B,), label (B,) and numbers (B,) each → embedding (B, E)."""
        embedding = self.time(time_embedding(t, 4 * self.config.width))
        if self.label is not None:
            embedding = embedding + self.label(label)
        if self.number is not None:
            embedding = embedding + self.number(told)
        return F.silu(embedding)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None, **told: Tensor) -> Tensor:
        """Predict from `x` (B, C, H, W) at time `t` (B,), with `label` (B,) int64 and conditions if it takes them."""
        if self.upscaling is None:
            return self._predict(x, t, label, told)
        anchor = self.upscaling.begin(x, t, told)
        told = {**told, self.upscaling.config.low: anchor.guess}
        return self.upscaling.finish(self._predict(anchor.input, t, label, told), anchor)

    def _predict(self, x: Tensor, t: Tensor, label: Tensor | None, told: Mapping[str, Tensor]) -> Tensor:
        embedding = self.embed(t, label, told)
        height, width = x.shape[-2:]
        if self.config.pictures:
            x = lay_beside(x, self.config.pictures, told)
        patch = self.config.patch
        padded = F.pad(x, (0, -width % patch, 0, -height % patch)) if width % patch or height % patch else x
        h = self.first(F.pixel_unshuffle(padded, patch) if patch > 1 else padded)
        skips: list[Tensor] = []
        for i, down in enumerate(self.down):
            skips += down(h if i == 0 else self.shrink[i - 1](h), embedding)
            h = skips[-1]
        h = self.middle.blocks[0](h, embedding)
        h = self.middle.blocks[1](self.middle_attention(h), embedding)
        for i in reversed(range(len(self.up))):
            h = self.up[i](h, embedding, skips)[-1]
            if i:
                h = self.grow[i - 1](F.interpolate(h, size=skips[-1].shape[-2:], mode="nearest"))
        h = self.last(F.silu(self.norm(h)))
        return F.pixel_shuffle(h, patch)[..., :height, :width] if patch > 1 else h
