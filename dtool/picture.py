"""Samples as pictures: tiles enlarged pixel by pixel, in a grid, with labels. Pillow only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from dtool.errors import DtoolError, UsageError

Pixels = NDArray[np.uint8]

PAPER, INK, FAINT, LINE = (255, 255, 255), (31, 35, 40), (110, 119, 129), (208, 215, 222)
MARGIN, GAP = 16, 3
SAID = {"α": "alpha", "β": "beta", "σ": "sigma", "λ": "lambda", "ε": "eps", "η": "eta", "ᾱ": "alpha-bar", "→": "to"}
SAID |= {"²": "^2", "³": "^3", "×": "x", "√": "sqrt", "−": "-", "–": "-"}


@functools.cache
def font(size: int) -> Any:
    """Pillow's own typeface at `size` pixels, so that pictures look the same on every machine."""
    return ImageFont.load_default(size=size)


def plain(text: str) -> str:
    """`text` in letters that the typeface has."""
    spelt = "".join(SAID.get(letter, letter) for letter in text)
    return "".join(letter if letter.isascii() or letter in "·…±°" else "?" for letter in spelt)


def text_width(text: str, size: int) -> int:
    """Pixels that a line of text takes."""
    return ceil(float(font(size).getlength(plain(text))))


def is_picture(shape: Sequence[int]) -> bool:
    """Whether a sample of this shape can be looked at: (H, W), (1, H, W) or (3, H, W)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def pixels(samples: ArrayLike, data_range: tuple[float, float] = (-1.0, 1.0)) -> Pixels:
    """Samples (n, *shape) in `data_range` as RGB, uint8 (n, H, W, 3); values beyond the range are cut off.

    Raises UsageError if a sample is no picture, DtoolError if one is not finite.
    """
    values = np.asarray(samples, dtype=np.float32)
    if not is_picture(values.shape[1:]):
        raise UsageError(
            f"samples of shape {values.shape[1:]} are no pictures", "save the array itself: --npz samples.npz"
        )
    if not np.isfinite(values).all():
        raise DtoolError(
            "the samples are not finite numbers", "check the network's weights, or use more steps or less guidance"
        )
    low, high = data_range
    scaled = np.clip((values - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    if scaled.ndim == 3:
        scaled = scaled[:, None]
    return np.ascontiguousarray(np.repeat(scaled, 4 - scaled.shape[1], axis=1)[:, :3].transpose(0, 2, 3, 1))


def enlarged(tiles: Pixels, side: int) -> Pixels:
    """Each pixel repeated a whole number of times, so that a tile's longer side comes near `side`."""
    times = max(1, round(side / max(tiles.shape[1:3])))
    return tiles.repeat(times, axis=1).repeat(times, axis=2)


def columns_for(count: int, classes: int = 0) -> int:
    """How many columns show `count` images best: one a class where that comes out even, else about a square."""
    if classes > 1 and count % classes == 0 and count > classes and classes <= 16:
        return classes
    even = [c for c in range(ceil(sqrt(count)), min(count, 2 * ceil(sqrt(count))) + 1) if count % c == 0]
    return even[0] if even else ceil(sqrt(count))


def grid(tiles: Pixels, columns: int, side: int = 64) -> Image.Image:
    """Tiles (n, H, W, 3) row by row, with narrow gaps."""
    big = enlarged(tiles, side)
    n, height, width = big.shape[:3]
    rows = ceil(n / columns)
    picture = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    for i, tile in enumerate(big):
        at = (GAP + i % columns * (width + GAP), GAP + i // columns * (height + GAP))
        picture.paste(Image.fromarray(tile), at)
    return picture


@dataclass(frozen=True)
class Row:
    """One row of a labelled grid: `name` and a fainter `note` to the left, the tiles (k, H, W, 3), space below.

    `captions`: a few characters under each tile.
    """

    name: str
    note: str
    tiles: Pixels
    gap: int = GAP
    captions: tuple[str, ...] = ()


def labelled(
    rows: Sequence[Row], heads: Sequence[str] = (), title: str = "", foot: str = "", side: int = 64
) -> Image.Image:
    """Rows of tiles under column heads, everything written in full: the picture is as wide as its labels need."""
    big = [enlarged(row.tiles, side) for row in rows]
    height, width = big[0].shape[1:3]
    words = [*heads, *(caption for row in rows for caption in row.captions)]
    step = max([width, *(text_width(word, 12) + 10 for word in words)]) + GAP
    left = MARGIN + max(max(text_width(row.name, 15), text_width(row.note, 12)) for row in rows) + 14
    top = MARGIN + (34 if title else 0) + (20 if heads else 0)
    texts = [2 * MARGIN + text_width(title, 18), 2 * MARGIN + text_width(foot, 12)]
    wide = max(left + step * max(len(tiles) for tiles in big) + MARGIN, *texts)
    line = max(height, 38)
    tall = top + sum(line + row.gap + 18 * bool(row.captions) for row in rows) + MARGIN + (20 if foot else 0)
    picture = Image.new("RGB", (wide, tall), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN), plain(title), INK, font(18))
    pen.text((MARGIN, tall - MARGIN), plain(foot), FAINT, font(12), anchor="ls")

    def middle(column: int) -> float:
        return float(left + column * step + (step - width) // 2 + width / 2)

    for i, head in enumerate(heads):
        pen.text((middle(i), top - 6), plain(head), FAINT, font(12), anchor="mb")
    y = top
    for row, tiles in zip(rows, big, strict=True):
        _label(pen, row, left - 14, y + line // 2)
        for i, tile in enumerate(tiles):
            picture.paste(Image.fromarray(tile), (int(middle(i) - width / 2), y + (line - height) // 2))
        for i, caption in enumerate(row.captions):
            pen.text((middle(i), y + line + 3), plain(caption), FAINT, font(11), anchor="mt")
        y += line + row.gap + 18 * bool(row.captions)
    return picture


def _label(pen: ImageDraw.ImageDraw, row: Row, right: int, middle: int) -> None:
    if not (row.name and row.note):
        text, ink, size = (row.name, INK, 15) if row.name else (row.note, FAINT, 12)
        pen.text((right, middle), plain(text), ink, font(size), anchor="rm")
        return
    pen.text((right, middle - 2), plain(row.name), INK, font(15), anchor="rs")
    pen.text((right, middle + 4), plain(row.note), FAINT, font(12), anchor="rt")
