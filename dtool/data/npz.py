"""Images in a NumPy archive: `x`, `images` or `arr_0`, with labels in `y` or `labels` if there are any.

The classes are called by their numbers, or as `class_names` says, `(classes,)` texts.
"""

from __future__ import annotations

import contextlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from dtool.data.images import MOST_CLASSES, MOST_PIXELS, Images
from dtool.data.listing import list_examples
from dtool.errors import DtoolError
from dtool.util import bounded_reading, memory

IMAGES, LABELS, NAMES = ("x", "images", "arr_0"), ("y", "labels"), "class_names"
MOST_TEXT = 1 << 24  # bytes of all names
DEFLATE = 1032  # what a byte of a compressed entry becomes at most
AT_ONCE = 1 << 24  # bytes that are converted at a time


def read(path: Path, *, labelled: bool = True) -> Images:
    """Images (N, C, H, W) from (N, H, W), (N, H, W, C) or (N, C, H, W), C ≤ 4; uint8, or floats in 0 … 1 or -1 … 1.

    labelled: whether labels are looked for. Warns of what the shape and the floats leave open. What the entries
    declare is compared with what they can hold, and with the memory that there is, before anything is unpacked.
    """
    with open_archive(path) as archive:
        entries = list_arrays(archive)
        image = next((name for name in IMAGES if name in entries), None)
        if image is None:
            there = f" (but {list_examples(entries)})" if entries else ""
            raise DtoolError(
                f"{path}: holds no array named x, images or arr_0{there}", "numpy.savez(path, x=images, y=labels)"
            )
        label = next((name for name in LABELS if name in entries and labelled), None)
        _warn_of_others(path, image, label, entries, labelled)
        with open_array(archive, entries[image]) as (data, header):
            pixels = _read_pixels(data, header, path)
        if label is None:
            return Images(pixels)
        with open_array(archive, entries[label]) as (data, header):
            values = _read_labels(data, header, len(pixels), path)
        names = tuple(str(i) for i in range(int(values.max()) + 1))
        if NAMES in entries:
            with open_array(archive, entries[NAMES]) as (data, header):
                names = _read_names(data, header, len(names), path)
    return Images(pixels, values, names)


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive of arrays; what goes wrong while it is open is raised as DtoolError."""
    try:
        with bounded_reading.open_file(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except DtoolError:
        raise
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DtoolError(
            f"{path}: can't be read as an .npz ({bounded_reading.explain_read_error(error)})",
            "write it again with numpy.savez",
        ) from error


def list_arrays(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays by their names; raises UnreadableError if a name comes twice."""
    arrays: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in arrays:
            raise bounded_reading.UnreadableError(f"it holds two arrays named {name[:40]!r}")
        arrays[name] = info
    return arrays


def _warn_of_others(path: Path, image: str, label: str | None, entries: dict[str, Any], labelled: bool) -> None:
    used = {image, label, *(() if label is None and labelled else (NAMES,)), *(() if labelled else LABELS)}
    rest = [name for name in entries if name not in used]
    if rest:
        warnings.warn(f"{path}: {image} is read, and not {list_examples(rest)}", stacklevel=3)


@contextlib.contextmanager
def open_array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Iterator[tuple[IO[bytes], bounded_reading.ArrayHeader]]:
    """An entry, open where its numbers begin."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise bounded_reading.UnreadableError("it is compressed in another way than numpy.savez_compressed does")
    most = DEFLATE if info.compress_type == zipfile.ZIP_DEFLATED else 1
    if info.file_size > most * info.compress_size:
        raise bounded_reading.UnreadableError(
            f"{info.filename[:40]} promises {info.file_size} bytes, more than its {info.compress_size} can hold"
        )
    with archive.open(info) as data:
        try:
            header = bounded_reading.read_array_header(data, info.file_size)
        except bounded_reading.UnreadableError as error:
            raise bounded_reading.UnreadableError(f"{info.filename[:40]}: {error}") from error
        yield data, header


def _read_pixels(data: IO[bytes], header: bounded_reading.ArrayHeader, path: Path) -> NDArray[Any]:
    """The images as (N, C, H, W), uint8 or float32 in -1 … 1, converted while they are read."""
    shape, last = infer_layout(header.shape, path)
    small = header.dtype == np.uint8
    if not small and header.dtype.kind != "f":
        raise DtoolError(f"{path}: images of type {header.dtype}", "store uint8, or floats in 0 … 1 or -1 … 1")
    needed = prod(shape) * (1 if small else 4) + (header.nbytes if header.fortran else 0)
    memory.require_room(needed, f"{path}, images of shape {header.shape},", "store fewer images, or uint8")
    pixels = np.empty(shape, np.uint8 if small else np.float32)
    low, high = np.inf, -np.inf
    for place, part in read_parts(data, header):
        if not small:
            low, high = np.fmin(low, part.min()), np.fmax(high, part.max())
            if not (part.min() >= -1 and part.max() <= 1):  # also true of NaN
                raise DtoolError(
                    f"{path}: pixels from {part.min():g} to {part.max():g}",
                    "scale them to 0 … 1 or -1 … 1, or store uint8",
                )
        rows = part[..., None] if part.ndim == 3 else part
        pixels[place] = np.moveaxis(rows, -1, 1) if last else rows
    if not small:
        _warn_of_range(path, float(low), float(high))
        if low >= 0:
            pixels *= 2
            pixels -= 1
    return pixels


def infer_layout(shape: tuple[int, ...], path: Path) -> tuple[tuple[int, ...], bool]:
    """(N, C, H, W), and whether the channels are the last axis; warns where the shape could mean something else."""
    axes = (*shape, 1) if len(shape) == 3 else shape
    if len(axes) != 4 or 0 in axes:
        raise DtoolError(f"{path}: images of shape {shape}", "store them as (N, H, W) or (N, H, W, C)")
    n, first, middle, end = axes
    if end > 4 and first > 4:
        raise DtoolError(f"{path}: images of shape {shape} have no axis of 1 to 4 channels", "store (N, H, W, C)")
    if prod(axes[1:]) > 4 * MOST_PIXELS:
        raise DtoolError(f"{path}: images of shape {shape[1:]} are too large", "store smaller ones")
    last = end <= 4
    if len(shape) == 3 and shape[-1] <= 4:
        warnings.warn(f"{path}: shape {shape} is read as {n} grey images of {first}x{middle} pixels", stacklevel=4)
    elif last and first <= 4:
        warnings.warn(f"{path}: shape {shape} is read as (N, H, W, C), not as (N, C, H, W)", stacklevel=4)
    return (n, end, first, middle) if last else axes, last


def read_parts(
    data: IO[bytes], header: bounded_reading.ArrayHeader, at_once: int = AT_ONCE
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """The array's rows, `at_once` bytes at a time; all of them where the file has them column by column."""
    count = header.shape[0]
    if header.fortran:
        yield slice(0, count), bounded_reading.read_array(data, header)
        return
    step = max(1, at_once * count // header.nbytes)
    for start in range(0, count, step):
        rows = min(step, count - start)
        part = bounded_reading.ArrayHeader((rows, *header.shape[1:]), header.dtype, fortran=False)
        yield slice(start, start + rows), bounded_reading.read_array(data, part)


def _warn_of_range(path: Path, low: float, high: float) -> None:
    """Warn of what floats are taken for: only their values tell."""
    if low > -0.5:
        assumed = "0 … 1" if low >= 0 else "-1 … 1"
        warnings.warn(f"{path}: pixels from {low:.3g} to {high:.3g} are taken as floats in {assumed}", stacklevel=4)


def _read_labels(data: IO[bytes], header: bounded_reading.ArrayHeader, count: int, path: Path) -> NDArray[np.int64]:
    if header.shape != (count,):
        raise DtoolError(
            f"{path}: labels of shape {header.shape} for {count} images", "store one integer for each image"
        )
    if header.dtype.kind not in "iu":
        raise DtoolError(f"{path}: labels are integers from 0, not {header.dtype}", "number the classes 0, 1, 2 …")
    labels = bounded_reading.read_array(data, header)
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DtoolError(f"{path}: labels are integers from 0, and there is {low}", "number the classes 0, 1, 2 …")
    if high >= MOST_CLASSES:
        raise DtoolError(f"{path}: there is a label {high}, at most {MOST_CLASSES - 1}", "number the classes 0, 1, 2 …")
    return labels.astype(np.int64)


def _read_names(data: IO[bytes], header: bounded_reading.ArrayHeader, least: int, path: Path) -> tuple[str, ...]:
    """The names of the classes, as many as there are labels or more."""
    if header.dtype.kind != "U" or len(header.shape) != 1 or header.nbytes > MOST_TEXT:
        raise DtoolError(
            f"{path}: class_names are {header.dtype} of shape {header.shape}", "store one text for each class"
        )
    names = tuple(bounded_reading.read_array(data, header).tolist())
    if not least <= len(names) <= MOST_CLASSES or len(set(names)) < len(names):
        raise DtoolError(
            f"{path}: class_names has {len(set(names))} different names, and labels go up to {least - 1}",
            "name each class, and each in another way",
        )
    unwritable = next((name for name in names if any(category(letter) in ("Cc", "Cs") for letter in name)), None)
    if unwritable is not None:
        raise DtoolError(f"{path}: a class has no name that can be written, {unwritable!r}", "name it otherwise")
    return names
