"""Where the images come from: a folder, MNIST's IDX files, an .npz, or scikit-learn's digits."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.pooled import statistics
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import PixelStatistics


@dataclass(frozen=True)
class Images:
    """A data set in memory: pixels (N, C, H, W), uint8 0 … 255 or float32 -1 … 1; labels (N,) int64 or None."""

    pixels: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """One image, (C, H, W)."""
        return tuple(self.pixels.shape[1:])

    def take(self, index: Any = slice(None)) -> NDArray[np.float32]:
        """The images at `index` as float32 in [-1, 1], (B, C, H, W)."""
        part = self.pixels[index]
        if part.dtype == np.uint8:
            part = part.astype(np.float32) / np.float32(127.5) - np.float32(1)
        return np.asarray(part, np.float32)

    def within(self, data_range: tuple[float, float], index: Any = slice(None)) -> NDArray[np.float64]:
        """The images at `index` in a network's range, (B, C, H, W)."""
        low, high = data_range
        return np.asarray((self.take(index).astype(np.float64) + 1) / 2 * (high - low) + low)

    def fingerprint(self) -> int:
        """A checksum: a run is resumed on the data that it began with."""
        total = zlib.crc32(np.ascontiguousarray(self.pixels).tobytes())
        return total if self.labels is None else zlib.crc32(self.labels.tobytes(), total)

    def statistics(self) -> PixelStatistics:
        """Mean and covariance of the images pooled to at most 8x8 pixels (4x4 with several channels)."""
        return statistics(self.take())


def load(source: str, *, size: tuple[int, int] | None = None, classes: bool | None = None) -> Images:
    """Read `source`: a folder of images, an IDX file or its folder, an .npz, or the word `digits`.

    `size` (H, W) crops and resizes the images of a folder. `classes`: True requires labels, False ignores them, None
    takes them where they are. Raises `DtoolError` naming the file and what to do.
    """
    images = _read(source, size)
    if classes is False or (classes is None and len(images.class_names) < 2):
        images = replace(images, labels=None, class_names=())
    if classes and images.labels is None:
        raise DtoolError(
            f"{source}: the images have no labels", "put each class into a sub-folder, or pass --no-classes"
        )
    if len(images) < 2:
        raise DtoolError(f"{source}: one image is too few to train on", "give at least two")
    if size and images.shape[1:] != size:
        raise UsageError(
            f"{source}: --size works for folders of images; these are {images.shape[1:]}", "leave --size out"
        )
    return images


def load_for(source: str, shape: tuple[int, ...]) -> Images:
    """`load`, for a network of samples of this shape; raises UsageError if the images are of another."""
    images = load(source)
    if images.shape != shape:
        raise UsageError(f"{source} holds images of shape {images.shape}, the network draws {shape}", "give others")
    return images


def _read(source: str, size: tuple[int, int] | None) -> Images:
    from dtool.data import folder, idx, npz

    path = Path(source)
    if source == "digits" and not path.exists():
        return _sklearn_digits()
    if not path.exists():
        raise DtoolError(
            f"{source}: there is no such file or folder", "give a folder of images, an IDX file, an .npz, or `digits`"
        )
    if path.is_dir():
        return idx.read(path) if idx.images_in(path) else folder.read(path, size)
    if path.suffix == ".npz":
        return npz.read(path)
    if "idx" in path.name:
        return idx.read(path)
    raise UsageError(
        f"{source}: not a kind of data that dtool reads",
        "give a folder of images, MNIST's IDX file, an .npz, or `digits`",
    )


def _sklearn_digits() -> Images:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DtoolError("digits: needs scikit-learn", "pip install 'dtool-diffusion[train]'") from error
    digits = load_digits()
    pixels = digits.images.astype(np.float32)[:, None] / 8 - 1
    return Images(pixels, digits.target.astype(np.int64), tuple(str(i) for i in range(10)))
