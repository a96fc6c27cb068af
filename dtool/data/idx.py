"""MNIST's IDX files (yann.lecun.com/exdb/mnist): a big-endian header, then bytes; plain or .gz."""

from __future__ import annotations

import gzip
import re
import struct
import warnings
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import MOST_PIXELS, Images
from dtool.data.listing import list_examples, scan_folder, warn_of_others
from dtool.errors import DtoolError, UsageError
from dtool.util import bounded_reading, memory

GZIP = 1032  # what a byte of a compressed file becomes at most
DOWNLOAD_HINT = "download the file again"


def find_images(folder: Path) -> list[Path]:
    """The IDX files of images in a folder, those of a split once."""
    paths = [path for path in sorted(folder.iterdir()) if re.search(r"images.idx3", path.name)]
    return [path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths]


def choose_file(folder: Path) -> Path:
    """The file of images that is read: the only one, or the only one of a training split.

    Warns of what is left out. Raises UsageError if that leaves several, DtoolError if there is none.
    """
    paths = find_images(folder)
    if not paths:
        raise DtoolError(f"{folder}: holds no IDX file of images", "name the file itself")
    train = [path for path in paths if re.search(r"(^|[^a-z])train(ing)?([^a-z]|$)", path.name.lower())]
    if len(paths) > 1 and len(train) != 1:
        names = list_examples((path.name for path in paths), 12)
        raise UsageError(f"{folder}: holds {len(paths)} IDX files of images ({names})", "name the one to read")
    images = paths[0] if len(paths) == 1 else train[0]
    if len(paths) > 1:
        rest = list_examples(path.name for path in paths if path != images)
        warnings.warn(f"{folder}: {images.name} is read, not {rest}", stacklevel=3)
    listing = scan_folder(folder)
    others = [*listing.paths, *(path for path in listing.others if not re.search(r"idx\d", path.name))]
    warn_of_others(folder, others)
    return images


def read(path: Path, *, labelled: bool = True) -> Images:
    """Images (N, 1, H, W) of an IDX file or the folder that holds it, with the labels found beside it.

    labelled: whether they are looked for. Nothing is read, and no memory taken, beyond what the header declares.
    """
    images = choose_file(path) if path.is_dir() else path
    pixels = _read_array(images, 3)
    labels = _find_labels(images) if labelled else None
    if labels is None:
        return Images(pixels[:, None])
    values = _read_array(labels, 1)
    if len(values) != len(pixels):
        raise DtoolError(
            f"{labels}: {len(values)} labels for {len(pixels)} images", f"give the labels that belong to {images.name}"
        )
    names = tuple(str(i) for i in range(int(values.max()) + 1))
    return Images(pixels[:, None], values.astype(np.int64), names)


def _find_labels(images: Path) -> Path | None:
    """The labels of the same split; warns if there are only others."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for candidate in (images.with_name(name), images.with_name(f"{name}.gz")):
        if candidate.exists() and candidate != images:
            return candidate
    others = sorted(path.name for path in images.parent.iterdir() if re.search(r"labels.idx\d", path.name))
    if others:
        text = f"{images}: read without classes, there is no {name} beside it, only {list_examples(others)}"
        warnings.warn(text, stacklevel=3)
    return None


def _read_array(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        with bounded_reading.open_file(path) as file:
            size = bounded_reading.get_file_size(file)
            if path.suffix != ".gz":
                return _read_body(file, path, dimensions, size, size)
            with gzip.GzipFile(fileobj=file) as plain:
                return _read_body(plain, path, dimensions, None, GZIP * size)
    except bounded_reading.UnreadableError as error:
        raise DtoolError(f"{path}: can't be read ({error})", "give an IDX file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DtoolError(
            f"{path}: can't be read ({bounded_reading.explain_read_error(error)})", DOWNLOAD_HINT
        ) from error


def _read_body(
    file: IO[bytes] | gzip.GzipFile, path: Path, dimensions: int, size: int | None, most: int
) -> NDArray[np.uint8]:
    """The bytes that the header promises. size: of the file, if known; most: bytes that it can hold at all."""
    length = 4 * (1 + dimensions)
    header = file.read(length)
    if len(header) < length or header[:4] != bytes((0, 0, 8, dimensions)):
        raise DtoolError(f"{path}: not an IDX file of bytes in {dimensions} dimensions", DOWNLOAD_HINT)
    shape = struct.unpack(f">{dimensions}I", header[4:])
    promised = prod(shape)
    if size is not None and size - length != promised:
        raise DtoolError(f"{path}: its header promises {promised} bytes, and {size - length} follow", DOWNLOAD_HINT)
    if promised > most:
        raise DtoolError(f"{path}: its header promises {promised} bytes, more than it can hold", DOWNLOAD_HINT)
    if promised == 0:
        raise DtoolError(f"{path}: holds nothing, its shape is {shape}", DOWNLOAD_HINT)
    if prod(shape[1:]) > MOST_PIXELS:
        raise DtoolError(f"{path}: images of {shape[2]}x{shape[1]} pixels are too large", "give smaller ones")
    memory.require_room(promised, f"{path}, {promised} bytes,", "give fewer images")
    array = np.empty(promised, np.uint8)
    read = bounded_reading.read_into(file, array)
    more = bool(file.read(1))
    if read < promised or more:
        follow = f"more than {promised}" if more else read
        raise DtoolError(f"{path}: its header promises {promised} bytes, and {follow} follow", DOWNLOAD_HINT)
    return array.reshape(shape)
