"""The layers of EDM's U-Nets: convolutions that may halve or double an image, and residual blocks with attention.

What is computed stands in arXiv:2206.00364, appendix F.2 and table 7, which unites DDPM++ and NCSN++ (arXiv:2011.13456)
with ADM (arXiv:2105.05233). Parameters have the names that they have in the files.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

Change = Literal["up", "down"] | None
Taps = tuple[float, ...]


def make_norm(channels: int, eps: float) -> nn.GroupNorm:
    """Group norm with 32 groups, or fewer where they would have less than four channels each."""
    return nn.GroupNorm(max(1, min(32, channels // 4)), channels, eps=eps)


class Convolution(nn.Module):
    """A convolution that keeps the size, after an image is halved or doubled by a separable filter of these taps.

    kernel: its width; 0 is the filter alone. fused: halved after the convolution, whose padding then covers both.
    """

    resample_filter: torch.Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        change: Change = None,
        taps: Taps = (1.0, 1.0),
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.change, self.fused = kernel, change, fused
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel)) if kernel else None
        self.bias = nn.Parameter(torch.empty(outputs)) if kernel else None
        if change:
            self.register_buffer("resample_filter", make_filter(taps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, H, W)` to `(B, outputs, H', W')`."""
        if self.fused:
            margin = self.kernel // 2 + self._margin
            wide = functional.conv2d(x, self._weight, padding=margin)
            return self._halve(wide, padding=0) + self._bias[:, None, None]
        if self.change == "down":
            x = self._halve(x, padding=self._margin)
        if self.change == "up":
            x = functional.conv_transpose2d(
                x, 4 * self._repeat(x.shape[1]), stride=2, padding=self._margin, groups=x.shape[1]
            )
        return functional.conv2d(x, self._weight, self._bias, padding=self.kernel // 2) if self.kernel else x

    @property
    def _weight(self) -> torch.Tensor:
        assert self.weight is not None, "a kernel was asked for"
        return self.weight

    @property
    def _bias(self) -> torch.Tensor:
        assert self.bias is not None, "a kernel was asked for"
        return self.bias

    @property
    def _margin(self) -> int:
        return (self.resample_filter.shape[-1] - 1) // 2

    def _repeat(self, channels: int) -> torch.Tensor:
        return self.resample_filter.expand(channels, 1, -1, -1)

    def _halve(self, x: torch.Tensor, padding: int) -> torch.Tensor:
        return functional.conv2d(x, self._repeat(x.shape[1]), stride=2, padding=padding, groups=x.shape[1])


def make_filter(taps: Taps) -> torch.Tensor:
    """The filter of a plane from that of a line, `(1, 1, n, n)`, of sum 1."""
    line = torch.tensor(taps, dtype=torch.float32)
    return (line[:, None] * line / line.sum() ** 2)[None, None]


class Block(nn.Module):
    """Two convolutions around the embedding of noise and class, a way past them, and attention where there are heads.

    adaptive: the embedding scales and shifts what is normed (ADM), or else is added before it is normed.
    past: whether the way past a change of size has a convolution of its own even where the channels stay.
    scale: by what each sum is multiplied.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding: int,
        *,
        heads: int = 0,
        change: Change = None,
        adaptive: bool,
        past: bool,
        scale: float,
        eps: float,
        taps: Taps = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.heads, self.adaptive, self.scale = heads, adaptive, scale
        self.norm0 = make_norm(inputs, eps)
        self.conv0 = Convolution(inputs, outputs, 3, change=change, taps=taps)
        self.affine = nn.Linear(embedding, outputs * (2 if adaptive else 1))
        self.norm1 = make_norm(outputs, eps)
        self.conv1 = Convolution(outputs, outputs, 3)
        self.skip: Convolution | None = None
        if change or inputs != outputs:
            kernel = 1 if past or inputs != outputs else 0
            self.skip = Convolution(inputs, outputs, kernel, change=change, taps=taps)
        if heads:
            self.norm2 = make_norm(outputs, eps)
            self.qkv = Convolution(outputs, 3 * outputs, 1)
            self.proj = Convolution(outputs, outputs, 1)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, H, W)` and `(B, embedding)` to `(B, outputs, H', W')`."""
        within = self.conv0(functional.silu(self.norm0(x)))
        told = self.affine(embedding)[:, :, None, None]
        if self.adaptive:
            factor, shift = told.chunk(2, dim=1)
            within = self.norm1(within) * (1 + factor) + shift
        else:
            within = self.norm1(within + told)
        within = self.conv1(functional.silu(within))
        x = (within + (x if self.skip is None else self.skip(x))) * self.scale
        return (x + self.proj(self._attend(self.qkv(self.norm2(x))))) * self.scale if self.heads else x

    def _attend(self, mixed: torch.Tensor) -> torch.Tensor:
        """Attention among the pixels; query, key and value are the innermost of the three that channels count."""
        batch, channels, height, width = mixed.shape
        parts: Any = mixed.reshape(batch, self.heads, channels // (3 * self.heads), 3, height * width)
        query, key, value = (each.transpose(-1, -2) for each in parts.unbind(3))
        met = functional.scaled_dot_product_attention(query, key, value)
        return met.transpose(-1, -2).reshape(batch, channels // 3, height, width)
