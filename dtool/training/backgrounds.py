"""Backgrounds for what was cut out: smooth changes of colour with grain, so that a mask must be seen, not guessed."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from dtool.data.textures import Textures

DRAWN = 0.25  # the share of backgrounds that are drawn where there are textures, too
ZOOM, TURN, SHIFT = 1.4, 0.35, 0.2  # of what is moved: at most so many times, radians, and parts of the size


def paste_on_background(
    picture: Tensor,
    alpha: Tensor,
    generator: torch.Generator,
    textures: Textures | None = None,
    varied: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Pictures (B, C, H, W) over backgrounds, where alpha (B, 1, H, W) in 0 … 1 says how much of them is seen.

    The backgrounds are drawn; with textures, three quarters are parts of those. varied: the share of pictures that are
    moved, and those of pictures and of backgrounds whose colours change, each drawn by itself (scale jittering of what
    is pasted: arXiv:2012.07177, section 3). → what is seen, and alpha, moved with its picture.
    """
    background = draw_backgrounds(picture.shape, generator)
    if textures is not None:
        is_drawn = torch.rand(len(picture), 1, 1, 1, generator=generator) < DRAWN
        background = torch.where(is_drawn, background, cut_from_textures(textures, picture.shape, generator))
    if varied:
        picture, background = (vary_colours(one, varied, generator) for one in (picture, background))
    seen = torch.cat([alpha * picture, alpha], dim=1)
    if varied:
        seen = move(seen, varied, generator)
    return seen[:, :-1] + (1 - seen[:, -1:]) * background, seen[:, -1:]


def vary_colours(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Pixels (B, C, H, W) in -1 … 1; of a `share`, each has channels in another order, contrast and brightness."""
    count, channels = pixels.shape[:2]
    order = torch.rand(count, channels, generator=generator).argsort(dim=1)[:, :, None, None]
    contrast = 0.5 + torch.rand(count, 1, 1, 1, generator=generator)
    brightness = 0.6 * torch.rand(count, channels, 1, 1, generator=generator) - 0.3
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    changed = (mean + contrast * (pixels - mean) + brightness).gather(1, order.expand_as(pixels)).clamp(-1, 1)
    return torch.where(torch.rand(count, 1, 1, 1, generator=generator) < share, changed, pixels)


def move(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Pixels (B, C, H, W), 0 outside; of a `share`, each is scaled, turned and shifted, by as much as the constants."""
    count, _, height, width = pixels.shape
    chance = 2 * torch.rand(count, 4, generator=generator) - 1
    zoom, angle = ZOOM ** chance[:, 0], TURN * chance[:, 1]
    cos, sin, ratio = angle.cos() / zoom, angle.sin() / zoom, height / width
    rows = [[cos, -sin * ratio, 2 * SHIFT * chance[:, 2]], [sin / ratio, cos, 2 * SHIFT * chance[:, 3]]]
    matrix = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, align_corners=False)
    return torch.where(torch.rand(count, 1, 1, 1, generator=generator) < share, moved, pixels)


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
