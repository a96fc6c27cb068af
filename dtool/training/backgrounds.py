"""Backgrounds for what was cut out: smooth changes of colour with grain, so that a mask must be seen, not guessed."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor


def paste_on_background(picture: Tensor, alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, C, H, W) over drawn backgrounds, where alpha (B, 1, H, W) in 0 … 1 says how much of them is seen."""
    return alpha * picture + (1 - alpha) * draw_backgrounds(picture.shape, generator)


def draw_backgrounds(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Backgrounds (B, C, H, W) in -1 … 1.

    Each is a grid of random colours, of 1 to 4 or of 16 a side (flat, a gradient, blotches, texture), enlarged
    smoothly, plus normal grain of a deviation uniform in 0 … 0.25.
    """
    count, channels, height, width = shape
    sides = torch.tensor([1, 2, 3, 4, 16])[torch.randint(5, (count,), generator=generator)]
    grain = 0.25 * torch.rand(count, 1, 1, 1, generator=generator) * torch.randn(shape, generator=generator)
    colours = 2 * torch.rand(count, channels, 16, 16, generator=generator) - 1
    backgrounds = torch.empty(shape)
    for side in sorted(set(sides.tolist())):
        own = sides == side
        patch = colours[own][..., :side, :side]
        backgrounds[own] = F.interpolate(patch, size=(height, width), mode="bilinear", align_corners=True)
    return (backgrounds + grain).clamp(-1, 1)
