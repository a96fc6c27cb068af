"""What a U-Net is built of: the embedding of its time, ResNet blocks, attention, and the levels that they make up."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dtool.models.unet_conditions import CrossAttention


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of the (fractional) time `t` (B,): (B, width), wave lengths from 2π to 2π·10,000 (DDPM, appendix B)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(1e4) / half))
    angles = t.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def make_norm(channels: int) -> nn.GroupNorm:
    """The normalization that blocks share."""
    return nn.GroupNorm(8, channels)


def start_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a residual's last layer at zero, so that the block begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResBlock(nn.Module):
    """x (B, in, H, W), embedding (B, E) → (B, out, H, W)."""

    def __init__(self, width_in: int, width_out: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = make_norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * width_out)
        self.norm2 = make_norm(width_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = start_at_zero(nn.Conv2d(width_out, width_out, 3, padding=1))
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
        self.norm = make_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = start_at_zero(nn.Conv2d(channels, channels, 1))

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

    def __init__(
        self,
        widths: list[tuple[int, int]],
        embedding: int,
        *,
        dropout: float,
        head_width: int | None = None,
        token_width: int | None = None,
    ) -> None:
        """head_width: of its attention, if it has any. token_width: of tokens that it looks at by attention, too."""
        super().__init__()
        self.blocks = nn.ModuleList(ResBlock(i, o, embedding, dropout) for i, o in widths)
        self.attention = nn.ModuleList(
            nn.Identity() if head_width is None else Attention(o, head_width) for _, o in widths
        )
        self.cross = nn.ModuleList(
            CrossAttention(o, head_width, token_width)
            for _, o in widths
            if head_width is not None and token_width is not None
        )

    def forward(
        self, h: Tensor, embedding: Tensor, skips: list[Tensor] | None = None, tokens: Tensor | None = None
    ) -> list[Tensor]:
        """The result of every block; on the way up each also takes the last of `skips` beside its input."""
        results: list[Tensor] = []
        for i, (block, attention) in enumerate(zip(self.blocks, self.attention, strict=True)):
            h = h if skips is None else torch.cat([h, skips.pop()], dim=1)
            if self.recompute and torch.is_grad_enabled():
                h = checkpoint(block, h, embedding, use_reentrant=False)
            else:
                h = block(h, embedding)
            h = attention(h)
            if self.cross:
                h = self.cross[i](h, tokens)
            results.append(h)
        return results
