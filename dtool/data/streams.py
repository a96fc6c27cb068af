"""Images of a data source some at a time, for what needs each of them once: never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data import npz
from dtool.data.folder import decode_image
from dtool.data.idx import find_images
from dtool.data.images import Images, load
from dtool.data.listing import scan_folder, warn_of_others
from dtool.data.pixels import read_header
from dtool.errors import DtoolError

PIECE = 256  # pictures of a piece
AT_ONCE = 1 << 18  # bytes of an array that are read at a time

Pieces = Iterator[NDArray[np.float32]]
Loads = Iterator[Callable[[], NDArray[np.float32]]]


@dataclass(frozen=True)
class ImageStream:
    """`count` images of `shape` (C, H, W), in pieces, in order; every call begins anew.

    loads: functions that give a piece each, float32 in [-1, 1], and can be called by another process.
    """

    count: int
    shape: tuple[int, ...]
    loads: Callable[[], Loads]

    def pieces(self) -> Pieces:
        """The pieces, read one after another."""
        for load_piece in self.loads():
            yield load_piece()


def open_stream(source: str) -> ImageStream:
    """The images of a folder of pictures or an .npz, as they are read; of IDX files or "digits", read at once.

    Raises DtoolError for what cannot be read, naming the file and what to do.
    """
    path = Path(source)
    if path.is_dir() and not find_images(path):
        return _stream_folder(path)
    if path.is_file() and path.suffix.lower() == ".npz":
        return _stream_npz(path)
    images = load(source, classes=False)
    return ImageStream(len(images), images.shape, lambda: _cut(images))


def _cut(images: Images) -> Loads:
    for start in range(0, len(images), PIECE):
        yield partial(_get, images.take(slice(start, start + PIECE)))


def _get(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A piece that is read already, since it can only be read after those before it."""
    return pixels


def _stream_folder(folder: Path) -> ImageStream:
    """Pictures of one size, in the order of their names; in colour unless all are grey."""
    listing = scan_folder(folder)
    if not listing.paths:
        raise DtoolError(f"{folder}: holds no images", "put picture files there: .png, .jpg, .webp, .tif …")
    warn_of_others(folder, listing.others)
    first, all_grey = read_header(listing.paths[0]), True
    for path in listing.paths:
        header = read_header(path)
        all_grey = all_grey and header.grey
        if (header.width, header.height) != (first.width, first.height):
            sizes = f"{header.width}x{header.height} pixels, but {first.path.name} has {first.width}x{first.height}"
            raise DtoolError(f"{path}: {sizes}", "make all one size")
    channels = 1 if all_grey else 3

    def read() -> Loads:
        for start in range(0, len(listing.paths), PIECE):
            yield partial(_read_pictures, listing.paths[start : start + PIECE], channels)

    return ImageStream(len(listing.paths), (channels, first.height, first.width), read)


def _read_pictures(paths: Sequence[Path], channels: int) -> NDArray[np.float32]:
    pictures = [decode_image(path, None) for path in paths]
    wide = [np.broadcast_to(picture, (*picture.shape[:2], channels)) for picture in pictures]
    return Images(np.stack(wide).transpose(0, 3, 1, 2)).take()


def _stream_npz(path: Path) -> ImageStream:
    """The array of images in an archive, without its labels: arr_0 uint8 (N, H, W, C) as evaluators write it, too."""
    with npz.open_archive(path) as archive:
        entries = npz.list_arrays(archive)
        name = next((name for name in npz.IMAGES if name in entries), None)
        if name is None:
            raise DtoolError(f"{path}: holds no array named x, images or arr_0", "numpy.savez(path, arr_0=images)")
        with npz.open_array(archive, entries[name]) as (_, header):
            shape, last = npz.infer_layout(header.shape, path)
    low = -1.0
    if header.dtype.kind == "f":
        ends = [(float(part.min()), float(part.max())) for part in _read_parts(path, name)]
        low, high = min(a for a, _ in ends), max(b for _, b in ends)
        if not (low >= -1 and high <= 1):
            raise DtoolError(f"{path}: pixels from {low:g} to {high:g}", "scale them to -1 … 1, or store uint8")
    elif header.dtype != np.uint8:
        raise DtoolError(f"{path}: images of type {header.dtype}", "store uint8, or floats in 0 … 1 or -1 … 1")

    def read() -> Loads:
        for part in _read_parts(path, name):
            rows = part[..., None] if part.ndim == 3 else part
            pixels = np.moveaxis(rows, -1, 1) if last else rows
            if pixels.dtype != np.uint8:
                pixels = pixels.astype(np.float32)
                pixels = pixels * 2 - 1 if low >= 0 else pixels
            yield partial(_get, Images(pixels).take())

    return ImageStream(shape[0], tuple(shape[1:]), read)


def _read_parts(path: Path, name: str) -> Iterator[NDArray[Any]]:
    with npz.open_archive(path) as archive:
        entry = npz.list_arrays(archive)[name]
        with npz.open_array(archive, entry) as (data, header):
            for _, part in npz.read_parts(data, header, AT_ONCE):
                yield part
