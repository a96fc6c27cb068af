"""A folder of image files, searched recursively; its sub-folders are the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dtool.data.images import Images
from dtool.data.pixels import eight_bit
from dtool.errors import DtoolError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def read(folder: Path, size: tuple[int, int] | None = None) -> Images:
    """Images (N, C, H, W) uint8, C = 1 if all are grey, else 3; labels only where every image lies in a sub-folder.

    `size` (H, W) cuts the middle out and resizes it; without it, all images must have one size.
    """
    paths = _paths(folder)
    arrays = [_array(path, size) for path in paths]
    first = arrays[0].shape[:2]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape[:2] != first:
            (h, w), (h0, w0) = array.shape[:2], first
            raise DtoolError(
                f"{path}: {w}x{h} pixels, but {paths[0].name} has {w0}x{h0}",
                f"pass --size, e.g. --size {min(h, w, h0, w0)}, to crop and resize all",
            )
    channels = max(array.shape[2] for array in arrays)
    pixels = np.stack([np.broadcast_to(array, (*first, channels)) for array in arrays])
    names = _names(paths, folder)
    classes = [names.index(path.relative_to(folder).parts[0]) for path in paths] if names else []
    labels = np.array(classes, np.int64) if names else None
    return Images(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), labels, names)


def _paths(folder: Path) -> list[Path]:
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    if not paths:
        raise DtoolError(f"{folder}: holds no images", f"put files ending in {', '.join(SUFFIXES)} there")
    return paths


def _names(paths: list[Path], folder: Path) -> tuple[str, ...]:
    if any(path.parent == folder for path in paths):
        return ()
    return tuple(sorted({path.relative_to(folder).parts[0] for path in paths}))


def _array(path: Path, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(H, W, 1 or 3)."""
    try:
        with Image.open(path) as file:
            image = eight_bit(file)
            if size:
                image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DtoolError(f"{path}: broken, or not an image ({error})", "repair the file or take it away") from error
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
