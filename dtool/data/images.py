"""Where the images come from: a folder, MNIST's IDX files, an .npz, or scikit-learn's digits."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.captions import Captions
from dtool.data.listing import list_examples
from dtool.errors import DtoolError, UsageError
from dtool.measure.pooled_pixels import choose_grid, merge_statistics, pool_pixels
from dtool.models.spec import PixelStatistics
from dtool.util import memory

MOST_CLASSES = 100_000  # a label is below
MOST_PIXELS = 1 << 26  # of an image that is kept
AT_ONCE = 1 << 22  # values that are converted at a time
DARK = 25  # of 255: images that are nowhere brighter are hardly what was meant


@dataclass(frozen=True)
class Images:
    """A data set in memory: pixels (N, C, H, W), uint8 0 … 255 or float32 -1 … 1; labels (N,) int64 or None.

    captions: those of every image, if they were read.
    """

    pixels: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    captions: Captions | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """One image, (C, H, W)."""
        return tuple(self.pixels.shape[1:])

    def pick(self, index: NDArray[np.int64]) -> Images:
        """The images at `index`, with all that belongs to them."""
        labels = None if self.labels is None else self.labels[index]
        captions = None if self.captions is None else self.captions.pick(index)
        return replace(self, pixels=self.pixels[index], labels=labels, captions=captions)

    def take(self, index: Any = slice(None)) -> NDArray[np.float32]:
        """The images at `index` as float32 in [-1, 1], (B, C, H, W)."""
        part = self.pixels[index]
        if part.dtype == np.uint8:
            part = part.astype(np.float32) / np.float32(127.5) - np.float32(1)
        return np.asarray(part, np.float32)

    def take_mirrored(self, index: Any = slice(None)) -> NDArray[np.float32]:
        """The same, each mirrored left to right."""
        return self.take(index)[..., ::-1]

    def take_in_range(self, data_range: tuple[float, float], index: Any = slice(None)) -> NDArray[np.float64]:
        """The images at `index` in a network's range, (B, C, H, W). Raises UsageError if there is no memory."""
        low, high = data_range
        places = np.atleast_1d(np.arange(len(self))[index])
        memory.require_room(8 * len(places) * prod(self.shape), f"{len(places)} images as numbers", "give fewer images")
        result = np.empty((len(places), *self.shape))
        for part in self._parts(len(places)):
            values = self.take(places[part]).astype(np.float64)
            result[part] = (values + 1) / 2 * (high - low) + low
        return result[0] if np.ndim(np.arange(len(self))[index]) == 0 else result

    def fingerprint(self) -> int:
        """A checksum: a run is resumed on the data that it began with."""
        total = zlib.crc32(np.ascontiguousarray(self.pixels).data)
        if self.captions is not None:
            total = self.captions.fingerprint(total)
        return total if self.labels is None else zlib.crc32(self.labels.tobytes(), total)

    def statistics(self) -> PixelStatistics:
        """Mean and covariance of the images pooled to at most 8x8 pixels (4x4 with several channels)."""
        grid = choose_grid(self.shape)
        return merge_statistics(grid, [pool_pixels(self.take(part), grid) for part in self._parts(len(self))])

    def _parts(self, count: int) -> Iterator[slice]:
        """So many images, some at a time."""
        step = max(1, min(1024, AT_ONCE // prod(self.shape)))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))


def load(source: str, *, size: tuple[int, int] | None = None, classes: bool | None = None) -> Images:
    """Read `source`: a folder of images, an IDX file or its folder, an .npz, or the word `digits`.

    `size` (H, W) crops and resizes the images of a folder. `classes`: True requires labels, False ignores them, None
    takes them where they are. Warns of what is assumed or left out. Raises `DtoolError` naming the file and what to do.
    """
    images = _load_checked(source, size, classes)
    if images.labels is not None:
        counts = np.bincount(images.labels, minlength=len(images.class_names))
        empty = [images.class_names[i] for i in np.flatnonzero(counts == 0)]
        if empty:
            verb = "classes have" if len(empty) > 1 else "class has"
            warnings.warn(f"{source}: {len(empty)} {verb} no image: {list_examples(empty)}", stacklevel=2)
    return images


def load_for(source: str, shape: tuple[int, ...]) -> Images:
    """`load`, for a network of samples of this shape; raises UsageError if the images are of another."""
    images = _load_checked(source, None, None, to_train=False)
    if images.shape != shape:
        raise UsageError(f"{source} holds images of shape {images.shape}, the network draws {shape}", "give others")
    return images


def _load_checked(source: str, size: tuple[int, int] | None, classes: bool | None, *, to_train: bool = True) -> Images:
    """The images, with what is odd about them said. A single class is nothing to train on, but one that has a name."""
    images = _read(source, size, classes is not False)
    if to_train and classes is None and len(images.class_names) < 2:
        if images.class_names:
            only = images.class_names[0]
            warnings.warn(f"{source}: all images are of one class, {only!r}: read without classes", stacklevel=3)
        images = replace(images, labels=None, class_names=())
    if classes is False:
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
    _warn_of_pixels(images, source)
    return images


def _warn_of_pixels(images: Images, source: str) -> None:
    """Warn of pixels that are hardly what was meant: all alike, nearly black, or grey three times."""
    pixels = images.pixels
    low, high = pixels.min(), pixels.max()
    if low == high:
        warnings.warn(f"{source}: every pixel of every image is {high:g}", stacklevel=4)
    elif pixels.dtype == np.uint8 and high <= DARK:
        warnings.warn(f"{source}: the brightest pixel is {high} of 255: the images are nearly black", stacklevel=4)
    elif images.shape[0] == 3 and all((one[0] == one[1]).all() and (one[0] == one[2]).all() for one in pixels):
        warnings.warn(f"{source}: the images are grey, and stored in three equal channels", stacklevel=4)


def _read(source: str, size: tuple[int, int] | None, labelled: bool) -> Images:
    from dtool.data import folder, idx, npz

    path = Path(source)
    if source == "digits" and not path.exists():
        return _load_sklearn_digits()
    if not path.exists():
        raise DtoolError(
            f"{source}: there is no such file or folder", "give a folder of images, an IDX file, an .npz, or `digits`"
        )
    if path.is_dir():
        return (
            idx.read(path, labelled=labelled) if idx.find_images(path) else folder.read(path, size, labelled=labelled)
        )
    if path.suffix.lower() == ".npz":
        return npz.read(path, labelled=labelled)
    if "idx" in path.name:
        return idx.read(path, labelled=labelled)
    raise UsageError(
        f"{source}: not a kind of data that dtool reads",
        "give a folder of images, MNIST's IDX file, an .npz, or `digits`",
    )


def _load_sklearn_digits() -> Images:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DtoolError("digits: needs scikit-learn", "pip install 'dtool-diffusion[train]'") from error
    digits = load_digits()
    pixels = digits.images.astype(np.float32)[:, None] / 8 - 1
    return Images(pixels, digits.target.astype(np.int64), tuple(str(i) for i in range(10)))
