"""A large picture decoded or encoded in overlapping tiles, so that memory is bounded by the tile and not the picture.

Along each axis the tiles are equally long, and overlap by a quarter of a tile. Of the overlap, what lies next to a
tile's own edge is left out (`MARGIN` of it at each side), since the tile does not see what is beyond that edge; over
the rest one tile fades into the next. So the picture is exactly the whole one's where a pixel depends on no more than
the margin around it; where it depends on all of the picture, as through attention or group norm, it is near it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt, prod

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError

WHOLE_NUMBERS = 1 << 22  # of a picture that is decoded whole unless a tile is asked for: some 5 GB on the way
TILE_NUMBERS = 1 << 21  # of a tile's picture, where the size of tiles is not given
OVERLAP = 4  # a tile's share of it is one in so many
MARGIN = 3 / 8  # of the overlap, at each side
SMALLEST = 8  # latent pixels of a tile
PROBE, LARGE_LATENT = 16, 1 << 16  # pixels along the side of a small latent, and the numbers of one that is large
Floats = NDArray[np.floating]
Call = Callable[[Floats], tuple[Floats, ...]]


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in latent pixels, and its weight in each of the larger arrays' pixels."""

    start: int
    stop: int
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Tiles:
    """Which tiles a latent `(C, H, W)` is taken apart into; `factor`: picture pixels to a latent pixel."""

    size: int
    factor: int
    latent_size: tuple[int, int]

    def run(self, call: Call, values: Floats, *, decodes: bool) -> tuple[NDArray[np.float32], ...]:
        """What `call` makes of `values` `(B, C, h, w)`, latents or pictures: tile by tile, blended to whole arrays."""
        taken, given = (1, self.factor) if decodes else (self.factor, 1)
        rows, columns = (_list_spans(length, self.size, given) for length in self.latent_size)
        whole: tuple[NDArray[np.float32], ...] = ()
        for row in rows:
            for column in columns:
                across = slice(column.start * taken, column.stop * taken)
                parts = call(values[:, :, row.start * taken : row.stop * taken, across])
                if not whole:
                    sizes = [length * given for length in self.latent_size]
                    whole = tuple(np.zeros((*part.shape[:2], *sizes), np.float32) for part in parts)
                weight = row.weight[:, None] * column.weight
                place = np.s_[:, :, row.start * given : row.stop * given, column.start * given : column.stop * given]
                for array, part in zip(whole, parts, strict=True):
                    array[place] += weight * part
        return whole


def choose_tiles(latent_shape: tuple[int, ...], picture_shape: tuple[int, ...], asked: int | None) -> Tiles | None:
    """The tiles for a codec of these shapes; None where the whole is taken: no tile is asked for, and the picture has
    at most `WHOLE_NUMBERS` numbers; or the tile that is asked for is as large as the latent, or 0.

    asked: latent pixels along a tile's side. The choice depends on the sizes alone, not on the memory that is free: a
    picture is the same on every machine. Raises UsageError for a tile that is too small, or no even factor between the
    two shapes.
    """
    if asked is not None and asked != 0 and asked < SMALLEST:
        raise UsageError(f"a tile of {asked} latent pixels is too small", f"give {SMALLEST} or more, or 0 for none")
    if asked == 0 or (asked is None and prod(picture_shape) <= WHOLE_NUMBERS):
        return None
    factor = find_factor(latent_shape, picture_shape)
    if factor is None:
        if asked is None:
            return None
        raise UsageError(
            f"pictures of {picture_shape} are not made of latents of {latent_shape} by one whole factor",
            "leave out --decoder-tile (tile=)",
        )
    height, width = latent_shape[1:]
    size = asked or max(SMALLEST, isqrt(TILE_NUMBERS // picture_shape[0]) // factor // 8 * 8)
    return None if size >= max(height, width) else Tiles(size, factor, (height, width))


def find_factor(latent_shape: tuple[int, ...], picture_shape: tuple[int, ...]) -> int | None:
    """How many picture pixels a latent pixel is along each axis; None if that is no whole number, or not one."""
    if len(latent_shape) != 3 or len(picture_shape) != 3:
        return None
    factor = picture_shape[1] // latent_shape[1]
    fits = picture_shape[1:] == (factor * latent_shape[1], factor * latent_shape[2])
    return factor if fits and factor else None


def find_picture_shape(
    decode: Callable[[Floats], Floats], latent_shape: tuple[int, ...], *, takes_any_size: bool
) -> tuple[int, ...]:
    """The shape `(1, C, H, W)` of what `decode` makes of one latent: of a large one as a small one tells, if it may."""
    small = (latent_shape[0], PROBE, PROBE)
    if takes_any_size and prod(latent_shape) > LARGE_LATENT:
        try:
            shape = decode(np.zeros((1, *small), np.float32)).shape
        except DtoolError:  # it takes other sizes by its own words alone
            shape = ()
        factor = find_factor(small, shape[1:])
        if factor is not None:
            return (*shape[:2], *(factor * length for length in latent_shape[1:]))
    return decode(np.zeros((1, *latent_shape), np.float32)).shape


def _list_spans(length: int, size: int, scale: int) -> list[Span]:
    """Tiles that cover an axis, evenly; their weights, in pixels of 1/`scale`, add up to 1 at each."""
    size = min(size, length)
    overlap = size // OVERLAP
    count = 1 + -(-(length - size) // (size - overlap))
    starts = [round(k * (length - size) / max(count - 1, 1)) for k in range(count)]
    margin = int(MARGIN * overlap) * scale
    ramp = max(overlap * scale - 2 * margin, 1)
    rising = ((np.arange(size * scale) - margin + 0.5) / ramp).clip(0, 1)
    weights = [np.ones(size * scale) for _ in starts]
    for k, weight in enumerate(weights):
        if k > 0:
            weight *= rising
        if k < count - 1:
            weight *= rising[::-1]
    total = np.zeros(length * scale)
    for start, weight in zip(starts, weights, strict=True):
        total[start * scale : (start + size) * scale] += weight
    return [
        Span(start, start + size, (weight / total[start * scale : (start + size) * scale]).astype(np.float32))
        for start, weight in zip(starts, weights, strict=True)
    ]
