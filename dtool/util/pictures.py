"""Samples as pictures: tiles enlarged pixel by pixel, in a grid, with labels. Pillow only."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isqrt, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from dtool.errors import DtoolError, UsageError
from dtool.util import memory

Pixels = NDArray[np.uint8]

PAPER, INK, FAINT, LINE = (255, 255, 255), (31, 35, 40), (110, 119, 129), (208, 215, 222)
MARGIN, GAP = 16, 3
MAX_PIXELS = 1 << 25  # pixels of a picture's tiles together
BYTES_PER_PIXEL = 12  # bytes that each takes while it is made
CHUNK_SIZE = 1 << 22  # values that are converted at a time
SPELLINGS = {
    "α": "alpha",
    "β": "beta",
    "σ": "sigma",
    "λ": "lambda",
    "ε": "eps",
    "η": "eta",
    "ᾱ": "alpha-bar",
    "→": "to",
}
SPELLINGS |= {"²": "^2", "³": "^3", "×": "x", "√": "sqrt", "−": "-", "–": "-"}


@functools.cache
def load_font(size: int) -> Any:
    """Pillow's own typeface at `size` pixels, so that pictures look the same on every machine."""
    return ImageFont.load_default(size=size)


def spell_out(text: str) -> str:
    """`text` in letters that the typeface has."""
    spelt = "".join(SPELLINGS.get(letter, letter) for letter in text)
    return "".join(letter if letter.isascii() or letter in "·…±°" else "?" for letter in spelt)


def measure_text(text: str, size: int) -> int:
    """Pixels that a line of text takes."""
    return ceil(float(load_font(size).getlength(spell_out(text))))


def is_picture(shape: Sequence[int]) -> bool:
    """Whether a sample of this shape can be looked at: (H, W), (1, H, W) or (3, H, W)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def to_pixels(samples: ArrayLike, data_range: tuple[float, float] = (-1.0, 1.0)) -> Pixels:
    """Samples (n, *shape) in `data_range` as RGB, uint8 (n, H, W, 3); values beyond the range are cut off.

    Raises UsageError if a sample is no picture, DtoolError if one is not finite.
    """
    values = np.asarray(samples)
    if not is_picture(values.shape[1:]):
        raise UsageError(
            f"samples of shape {values.shape[1:]} are no pictures", "save the array itself: --npz samples.npz"
        )
    low, high = data_range
    pixels = np.empty((len(values), *values.shape[-2:], 3), np.uint8)
    for place, part in _iterate_finite(values):
        scaled = np.clip((part - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
        pixels[place] = scaled[..., None] if scaled.ndim == 3 else scaled.transpose(0, 2, 3, 1)
    return pixels


def _iterate_finite(values: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Samples in float32, some at a time; raises DtoolError for one that is not finite."""
    step = max(1, CHUNK_SIZE // max(1, prod(values.shape[1:])))
    for start in range(0, len(values), step):
        part = np.asarray(values[start : start + step], dtype=np.float32)
        if not np.isfinite(part).all():
            raise DtoolError(
                "the samples are not finite numbers", "check the network's weights, or use more steps or less guidance"
            )
        yield slice(start, start + len(part)), part


def choose_scale(shape: Sequence[int], side: int) -> int:
    """How often each pixel of a tile (H, W) is repeated, so that its longer side comes near `side`."""
    return max(1, round(side / max(shape)))


def enlarge(tiles: Pixels, side: int) -> Pixels:
    """Each pixel repeated a whole number of times, so that a tile's longer side comes near `side`."""
    often = choose_scale(tiles.shape[1:3], side)
    return tiles.repeat(often, axis=1).repeat(often, axis=2)


def get_max_tiles(shape: Sequence[int], side: int) -> int:
    """How many tiles of samples of this shape a picture has room for, 1 at least."""
    room = max(memory.get_limit() - memory.get_usage(), 0) / BYTES_PER_PIXEL
    often = choose_scale(shape[-2:], side)
    return max(1, int(min(MAX_PIXELS, room)) // ((shape[-2] * often + GAP) * (shape[-1] * often + GAP)))


def draw_overview(samples: ArrayLike, data_range: tuple[float, float] = (-1.0, 1.0), classes: int = 0) -> Image.Image:
    """Samples (n, *shape) in a grid; as many as a picture has room for, and a warning if that is not all.

    Raises as `to_pixels` does, whether a sample is shown or not.
    """
    values = np.asarray(samples)
    count, side = len(values), 96 if len(values) <= 100 else 48
    columns = choose_columns(count, classes)
    if is_picture(values.shape[1:]):
        coarse = ceil(sqrt(prod(values.shape[-2:]) / MAX_PIXELS))
        if coarse > 1:
            warnings.warn(f"the picture shows one row and one column of an image in {coarse}", stacklevel=2)
            values = values[..., ::coarse, ::coarse]
        room = get_max_tiles(values.shape, side)
        if room < count:
            columns = isqrt(room) // classes * classes if 1 < classes <= isqrt(room) else isqrt(room)
            shown = room // columns * columns
            warnings.warn(f"the picture shows the first {shown} of {count} images", stacklevel=2)
            for _ in _iterate_finite(values[shown:]):
                pass
            values = values[:shown]
    return draw_grid(to_pixels(values, data_range), columns, side)


def choose_columns(count: int, classes: int = 0) -> int:
    """How many columns show `count` images best: one per class where that fills the rows, else about a square."""
    if classes > 1 and count % classes == 0 and count > classes and classes <= 16:
        return classes
    even = [c for c in range(ceil(sqrt(count)), min(count, 2 * ceil(sqrt(count))) + 1) if count % c == 0]
    return even[0] if even else ceil(sqrt(count))


def draw_grid(tiles: Pixels, columns: int, side: int = 64) -> Image.Image:
    """Tiles (n, H, W, 3) row by row, with narrow gaps."""
    often = choose_scale(tiles.shape[1:3], side)
    n, height, width = len(tiles), tiles.shape[1] * often, tiles.shape[2] * often
    rows = ceil(n / columns)
    picture = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    for i in range(n):
        at = (GAP + i % columns * (width + GAP), GAP + i // columns * (height + GAP))
        picture.paste(Image.fromarray(enlarge(tiles[i : i + 1], side)[0]), at)
    return picture


@dataclass(frozen=True, kw_only=True)
class TileRow:
    """One row of a labelled grid: `name` and a fainter `note` to the left, the tiles (k, H, W, 3), space below.

    `captions`: a few characters under each tile.
    """

    name: str
    note: str
    tiles: Pixels
    gap: int = GAP
    captions: tuple[str, ...] = ()


def draw_labelled_grid(
    rows: Sequence[TileRow], heads: Sequence[str] = (), title: str = "", foot: str = "", side: int = 64
) -> Image.Image:
    """Rows of tiles under column heads, everything written in full: the picture is as wide as its labels need."""
    often = choose_scale(rows[0].tiles.shape[1:3], side)
    height, width = (often * length for length in rows[0].tiles.shape[1:3])
    words = [*heads, *(caption for row in rows for caption in row.captions)]
    step = max([width, *(measure_text(word, 12) + 10 for word in words)]) + GAP
    left = MARGIN + max(max(measure_text(row.name, 15), measure_text(row.note, 12)) for row in rows) + 14
    top = MARGIN + (34 if title else 0) + (20 if heads else 0)
    texts = [2 * MARGIN + measure_text(title, 18), 2 * MARGIN + measure_text(foot, 12)]
    wide = max(left + step * max(len(row.tiles) for row in rows) + MARGIN, *texts)
    line = max(height, 38)
    tall = top + sum(line + row.gap + 18 * bool(row.captions) for row in rows) + MARGIN + (20 if foot else 0)
    picture = Image.new("RGB", (wide, tall), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN), spell_out(title), INK, load_font(18))
    pen.text((MARGIN, tall - MARGIN), spell_out(foot), FAINT, load_font(12), anchor="ls")

    def middle(column: int) -> float:
        return float(left + column * step + (step - width) // 2 + width / 2)

    for i, head in enumerate(heads):
        pen.text((middle(i), top - 6), spell_out(head), FAINT, load_font(12), anchor="md")
    y = top
    for row in rows:
        _draw_label(pen, row, left - 14, y + line // 2)
        for i in range(len(row.tiles)):
            tile = enlarge(row.tiles[i : i + 1], side)[0]
            picture.paste(Image.fromarray(tile), (int(middle(i) - width / 2), y + (line - height) // 2))
        for i, caption in enumerate(row.captions):
            pen.text((middle(i), y + line + 3), spell_out(caption), FAINT, load_font(11), anchor="ma")
        y += line + row.gap + 18 * bool(row.captions)
    return picture


def _draw_label(pen: ImageDraw.ImageDraw, row: TileRow, right: int, middle: int) -> None:
    if not (row.name and row.note):
        text, ink, size = (row.name, INK, 15) if row.name else (row.note, FAINT, 12)
        pen.text((right, middle), spell_out(text), ink, load_font(size), anchor="rm")
        return
    pen.text((right, middle - 2), spell_out(row.name), INK, load_font(15), anchor="rs")
    pen.text((right, middle + 4), spell_out(row.note), FAINT, load_font(12), anchor="rt")
