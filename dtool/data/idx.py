"""MNIST's IDX files (yann.lecun.com/exdb/mnist): a big-endian header, then bytes; plain or .gz."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.errors import DtoolError


def images_in(folder: Path) -> Path | None:
    """The IDX file of images in a folder, the training one if there are several; None if there is none."""
    found = [path for path in sorted(folder.iterdir()) if re.search(r"images.idx3", path.name)]
    return next((path for path in found if path.name.startswith("train")), found[0] if found else None)


def read(path: Path) -> Images:
    """Images (N, 1, H, W) of an IDX file or the folder that holds it, with the labels found beside it."""
    images = images_in(path) if path.is_dir() else path
    if images is None:
        raise DtoolError(f"{path}: holds no IDX file of images", "name the file itself")
    pixels = _array(images, 3)
    labels = _labels_beside(images)
    if labels is None:
        return Images(pixels[:, None])
    values = _array(labels, 1)
    if len(values) != len(pixels):
        raise DtoolError(
            f"{labels}: {len(values)} labels for {len(pixels)} images", f"give the labels that belong to {images.name}"
        )
    names = tuple(str(i) for i in range(int(values.max()) + 1))
    return Images(pixels[:, None], values.astype(np.int64), names)


def _labels_beside(images: Path) -> Path | None:
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    found = (images.with_name(candidate) for candidate in (name, f"{name}.gz"))
    return next((path for path in found if path.is_file() and path != images), None)


def _array(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DtoolError(f"{path}: can't be read ({error})", "download the file again") from error
    header = 4 * (1 + dimensions)
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise DtoolError(f"{path}: not an IDX file of bytes in {dimensions} dimensions", "download the file again")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != np.prod(shape) or 0 in shape:
        raise DtoolError(
            f"{path}: its header promises {np.prod(shape)} bytes, and {len(data) - header} follow",
            "download the file again",
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()
