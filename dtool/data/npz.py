"""Images in a NumPy archive: `x`, `images` or `arr_0`, with labels in `y` or `labels` if there are any."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import Images
from dtool.errors import DtoolError


def read(path: Path) -> Images:
    """Images (N, C, H, W) from (N, H, W), (N, H, W, C) or (N, C, H, W), C ≤ 4; uint8, or floats in 0 … 1 or -1 … 1."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name in ("x", "images", "arr_0", "y", "labels")}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise DtoolError(f"{path}: can't be read as an .npz ({error})", "write it again with numpy.savez") from error
    images = next((arrays[name] for name in ("x", "images", "arr_0") if name in arrays), None)
    if images is None:
        raise DtoolError(f"{path}: holds no array named x, images or arr_0", "numpy.savez(path, x=images, y=labels)")
    pixels = _pixels(images, path)
    labels = next((arrays[name] for name in ("y", "labels") if name in arrays), None)
    if labels is None:
        return Images(pixels)
    values = _labels(labels, len(pixels), path)
    return Images(pixels, values, tuple(str(i) for i in range(int(values.max()) + 1)))


def _pixels(images: NDArray[Any], path: Path) -> NDArray[Any]:
    array = images[..., None] if images.ndim == 3 else images
    if array.ndim != 4 or 0 in array.shape:
        raise DtoolError(f"{path}: images of shape {images.shape}", "store them as (N, H, W) or (N, H, W, C)")
    if array.shape[-1] <= 4:
        array = np.moveaxis(array, -1, 1)
    elif array.shape[1] > 4:
        raise DtoolError(
            f"{path}: images of shape {images.shape} have no axis of 1 to 4 channels", "store (N, H, W, C)"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise DtoolError(f"{path}: images of type {array.dtype}", "store uint8, or floats in 0 … 1 or -1 … 1")
    low, high = float(array.min()), float(array.max())
    if not (low >= -1 and high <= 1):  # also true of NaN
        raise DtoolError(f"{path}: pixels from {low:g} to {high:g}", "scale them to 0 … 1 or -1 … 1, or store uint8")
    values = np.ascontiguousarray(array, dtype=np.float32)
    return values if low < 0 else values * 2 - 1


def _labels(labels: NDArray[Any], count: int, path: Path) -> NDArray[np.int64]:
    if labels.shape != (count,):
        raise DtoolError(
            f"{path}: labels of shape {labels.shape} for {count} images", "store one integer for each image"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise DtoolError(f"{path}: labels are integers from 0", "number the classes 0, 1, 2 …")
    return labels.astype(np.int64)
