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

import torch.nn.functional as F  # noqa: N812 - the customary name
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from dtool.errors import UsageError
from dtool.models.consistent_upscaling import ConsistentUpscaling, UpscalingConfig
from dtool.models.spec import MAX_CLASSES
from dtool.models.unet_blocks import Attention, UNetLevel, make_norm, start_at_zero, time_embedding
from dtool.models.unet_conditions import (
    NAME,
    CrossAttention,
    NumberEmbedding,
    PictureInput,
    TextInput,
    VectorEmbedding,
    lay_beside,
)  # fmt: skip


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
    text: TextInput | None = None
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
        texts = () if self.text is None else (self.text.name,)
        return (*(one.name for one in self.pictures), *self.numbers, *texts)

    @property
    def token_width(self) -> int | None:
        """The width of the tokens that it looks at by cross-attention; None if there are none."""
        return None if self.text is None or self.text.length is None else self.text.width

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
        vector = None if config.text is None or config.text.length is not None else config.text.width
        self.vector = None if vector is None else VectorEmbedding(vector, embedding)
        folded = config.channels * config.patch**2
        beside = sum(one.channels for one in config.pictures) * config.patch**2
        self.first = nn.Conv2d(folded + beside, config.width, 3, padding=1)

        def level(i: int, pairs: list[tuple[int, int]]) -> UNetLevel:
            head_width = config.head_width if i in config.attention else None
            return UNetLevel(
                pairs, embedding, dropout=config.dropout, head_width=head_width, token_width=config.token_width
            )

        before = [config.width, *widths]
        self.down = nn.ModuleList(
            level(i, [(before[i], w)] + [(w, w)] * (config.blocks - 1)) for i, w in enumerate(widths)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, stride=2, padding=1) for w in widths[:-1])
        self.middle = UNetLevel([(widths[-1], widths[-1])] * 2, embedding, dropout=config.dropout)
        self.middle_attention = Attention(widths[-1], config.head_width)
        token_width = config.token_width
        self.middle_cross = None if token_width is None else CrossAttention(widths[-1], config.head_width, token_width)
        self.up = nn.ModuleList(level(i, [(2 * w, w)] * config.blocks) for i, w in enumerate(widths))
        self.grow = nn.ModuleList(nn.Conv2d(deep, w, 3, padding=1) for w, deep in pairwise(widths))
        self.upscaling = ConsistentUpscaling(config.upscaling) if config.upscaling else None
        self.norm = make_norm(config.width)
        self.last = start_at_zero(nn.Conv2d(config.width, folded, 3, padding=1))

    def embed(self, t: Tensor, label: Tensor | None, told: Mapping[str, Tensor]) -> Tensor:
        """Time (B,), label (B,), numbers (B,) each and a text's vector (B, width) → embedding (B, E)."""
        embedding = self.time(time_embedding(t, 4 * self.config.width))
        if self.label is not None:
            embedding = embedding + self.label(label)
        if self.number is not None:
            embedding = embedding + self.number(told)
        if self.vector is not None and self.config.text is not None:
            embedding = embedding + self.vector(told[self.config.text.name])
        return F.silu(embedding)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None, **told: Tensor) -> Tensor:
        """Predict from `x` (B, C, H, W) at time `t` (B,), with `label` (B,) int64 and conditions if it takes them."""
        if self.upscaling is None:
            return self._predict(x, t, label, told)
        anchor = self.upscaling.begin(x, t, told)
        told = {**told, self.upscaling.config.low: anchor.guess}
        return self.upscaling.finish(self._predict(anchor.input, t, label, told), anchor)

    def _predict(self, x: Tensor, t: Tensor, label: Tensor | None, told: Mapping[str, Tensor]) -> Tensor:
        embedding, text = self.embed(t, label, told), self.config.text
        tokens = None if text is None or text.length is None else told[text.name]
        height, width = x.shape[-2:]
        if self.config.pictures:
            x = lay_beside(x, self.config.pictures, told)
        patch = self.config.patch
        padded = F.pad(x, (0, -width % patch, 0, -height % patch)) if width % patch or height % patch else x
        h = self.first(F.pixel_unshuffle(padded, patch) if patch > 1 else padded)
        skips: list[Tensor] = []
        for i, down in enumerate(self.down):
            skips += down(h if i == 0 else self.shrink[i - 1](h), embedding, tokens=tokens)
            h = skips[-1]
        h = self.middle.blocks[0](h, embedding)
        h = self.middle_attention(h)
        if self.middle_cross is not None:
            h = self.middle_cross(h, tokens)
        h = self.middle.blocks[1](h, embedding)
        for i in reversed(range(len(self.up))):
            h = self.up[i](h, embedding, skips, tokens)[-1]
            if i:
                h = self.grow[i - 1](F.interpolate(h, size=skips[-1].shape[-2:], mode="nearest"))
        h = self.last(F.silu(self.norm(h)))
        return F.pixel_shuffle(h, patch)[..., :height, :width] if patch > 1 else h
