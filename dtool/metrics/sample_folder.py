"""Images to be judged, from wherever they are: a folder of blocks, an evaluator's array, or what `dtool.data` reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.data.streams import ImageStream, open_stream
from dtool.errors import DtoolError
from dtool.parts.block_file import BlockImages, DamagedError, name_path, read_block
from dtool.parts.manifest import NAME, Manifest
from dtool.parts.merging import open_folder


def open_samples(source: str) -> ImageStream:
    """As `dtool.data.streams.open_stream`, and a folder that `dtool sample --into` fills, in the order of the ids.

    Raises DtoolError if a block of it is missing or damaged.
    """
    folder = Path(source)
    if not (folder / NAME).is_file():
        return open_stream(source)
    manifest = open_folder(folder)
    first = _read(folder, manifest, 0)
    shape = tuple(_to_pixels(manifest, first).shape[1:])
    numbers = range(len(manifest.blocks))
    return ImageStream(
        manifest.images, shape, lambda: (partial(_read_pixels, folder, manifest, number) for number in numbers)
    )


def _read_pixels(folder: Path, manifest: Manifest, number: int) -> NDArray[np.float32]:
    return _to_pixels(manifest, _read(folder, manifest, number))


def _read(folder: Path, manifest: Manifest, number: int) -> BlockImages:
    block = manifest.blocks[number]
    path = name_path(folder, manifest, block)
    try:
        return read_block(path, manifest, block)
    except FileNotFoundError as error:
        raise DtoolError(f"{path} is missing", f"draw what is missing: dtool sample … --into {folder}") from error
    except DamagedError as error:
        hint = f"draw it again in its place: dtool sample … --into {folder} --redraw"
        raise DtoolError(f"{path} is damaged ({error})", hint) from error


def _to_pixels(manifest: Manifest, images: BlockImages) -> NDArray[np.float32]:
    """A block's images as float32 `(n, C, H, W)` in [-1, 1]."""
    pixels: NDArray[Any] = images.x0
    if pixels.dtype == np.uint8:
        grey = manifest.shape[0] == 1
        return Images(np.moveaxis(pixels, -1, 1)[:, : 1 if grey else None]).take()
    low, high = manifest.range
    if (low, high) == (-1.0, 1.0):
        return np.asarray(pixels, np.float32)
    return np.asarray((pixels - low) * (2 / (high - low)) - 1, np.float32)
