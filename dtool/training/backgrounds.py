"""Backgrounds for what was cut out: smooth changes of colour with grain, so that a mask must be seen, not guessed."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from dtool.data.textures import Textures

DRAWN = 0.25  # the share of backgrounds that are drawn where there are textures, too


def paste_on_background(
    picture: Tensor, alpha: Tensor, generator: torch.Generator, textures: Textures | None = None
) -> Tensor:
    """Pictures (B, C, H, W) over backgrounds, where alpha (B, 1, H, W) in 0 … 1 says how much of them is seen.

    The backgrounds are drawn; with textures, three quarters are parts of those.
    """
    background = draw_backgrounds(picture.shape, generator)
    if textures is not None:
        is_drawn = torch.rand(len(picture), 1, 1, 1, generator=generator) < DRAWN
        background = torch.where(is_drawn, background, cut_from_textures(textures, picture.shape, generator))
    return alpha * picture + (1 - alpha) * background


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


def cut_from_textures(textures: Textures, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Backgrounds (B, 3, H, W) in -1 … 1: parts of the textures.

    Each is a rectangle of the shape's proportions at a random place, between its size and the largest that there is,
    uniform in the logarithm, made small; half are mirrored left to right.
    """
    count, _, height, width = shape
    chosen = torch.randint(len(textures.pictures), (count,), generator=generator).tolist()
    chance = torch.rand(count, 4, generator=generator, dtype=torch.float64).tolist()
    parts = []
    for index, (scale, top, left, mirror) in zip(chosen, chance, strict=True):
        texture = textures.pictures[index]
        largest = min(texture.shape[1] / height, texture.shape[2] / width)
        rows, columns = int(height * largest**scale), int(width * largest**scale)
        y, x = int(top * (texture.shape[1] - rows + 1)), int(left * (texture.shape[2] - columns + 1))
        part = torch.from_numpy(texture[None, :, y : y + rows, x : x + columns].copy()).float() / 127.5 - 1
        part = F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
        parts.append(part.flip(-1) if mirror < 0.5 else part)
    return torch.cat(parts).clamp(-1, 1)
