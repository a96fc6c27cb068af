"""A folder of image files, searched recursively; its sub-folders are the classes."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dtool.data.images import MOST_CLASSES, MOST_PIXELS, Images
from dtool.data.listing import Listing, list_examples, scan_folder, warn_of_others
from dtool.data.pixels import PictureHeader, convert_to_eight_bits, open_picture, read_header, require_room, shrink
from dtool.errors import DtoolError
from dtool.util import memory


def read(folder: Path, size: tuple[int, int] | None = None, *, labelled: bool = True) -> Images:
    """Images (N, C, H, W) uint8, C = 1 if all are grey, else 3; labels only where every image lies in a sub-folder.

    Reads what Pillow reads as a still picture, the first of an animation. `size` (H, W) cuts the middle out and resizes
    it; without it, all images must have one size. `labelled`: whether classes are looked for. Warns of all that is left
    out. Raises DtoolError for what cannot be read, UsageError for what does not fit into memory, before it is decoded.
    """
    listing = scan_folder(folder)
    if not listing.paths:
        raise DtoolError(f"{folder}: holds no images", _explain_no_images(listing))
    warn_of_others(folder, listing.others)
    labels, names = _label_by_folder(listing) if labelled else (None, ())
    headers = [_read_header(path) for path in listing.paths]
    _warn_of_kinds(folder, headers)
    return Images(_decode_pixels(headers, size), labels, names)


def _read_header(path: Path) -> PictureHeader:
    try:
        return read_header(path)
    except FileNotFoundError as error:
        raise DtoolError(f"{path}: is a link to a file that isn't there", "take it away, or mend it") from error


def _explain_no_images(listing: Listing) -> str:
    kinds = "put picture files there: .png, .jpg, .webp, .tif …"
    if not listing.others:
        return kinds
    return f"{kinds}; there are {list_examples(path.name for path in listing.others)}: give a data file by its own name"


def _label_by_folder(listing: Listing) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """The labels and the classes' names, as far as every picture has one."""
    folder, names = listing.folder, listing.classes
    if not names:
        return None, ()
    if listing.beside:
        warnings.warn(
            f"{folder}: {len(listing.beside)} of {len(listing.paths)} images lie beside the sub-folders "
            f"({list_examples(path.name for path in listing.beside)}): all are read without classes",
            stacklevel=3,
        )
        return None, ()
    if len(names) > MOST_CLASSES:
        raise DtoolError(f"{folder}: {len(names)} sub-folders, at most {MOST_CLASSES} classes", "pass --no-classes")
    for name in names:
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            raise DtoolError(f"{folder}: a class has no name that can be written, {name!r}", "rename the sub-folder")
    if listing.empty and len(names) > 1:
        warnings.warn(f"{folder}: no images, and so no class, in {list_examples(listing.empty)}", stacklevel=3)
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[path.relative_to(folder).parts[0]] for path in listing.paths], np.int64), names


def _warn_of_kinds(folder: Path, headers: Sequence[PictureHeader]) -> None:
    """Warn of animations, and of grey images that become coloured."""
    several = [h.path.name for h in headers if h.is_animated]
    if several:
        warnings.warn(
            f"{folder}: {len(several)} of {len(headers)} files hold several pictures, and the first of each is read: "
            f"{list_examples(several)}",
            stacklevel=3,
        )
    grey, colour = [h.path.name for h in headers if h.grey], [h.path.name for h in headers if not h.grey]
    if grey and colour:
        few, kind = (colour, "in colour") if len(colour) <= len(grey) else (grey, "grey")
        verb = "is" if len(few) == 1 else "are"
        warnings.warn(
            f"{folder}: {len(few)} of {len(headers)} images {verb} {kind} ({list_examples(few)}): "
            "all are read in colour",
            stacklevel=3,
        )


def _decode_pixels(headers: Sequence[PictureHeader], size: tuple[int, int] | None) -> NDArray[Any]:
    """(N, C, H, W), decoded one by one into memory that was asked for before."""
    largest = max(headers, key=lambda h: h.width * h.height)
    each = prod(size) if size else largest.width * largest.height
    if each > MOST_PIXELS:
        what = f"--size {size[0]}x{size[1]}" if size else f"{largest.path}: {largest.width}x{largest.height} pixels"
        raise DtoolError(
            f"{what}: an image has at most {MOST_PIXELS / 1e6:.0f} million pixels here", "resize all: --size 64"
        )
    channels = 1 if all(h.grey for h in headers) else 3
    hint = "give fewer images, or smaller ones: train --size 64 resizes them"
    memory.require_room(len(headers) * each * channels, f"{len(headers)} images of {each * channels} values", hint)
    pixels: NDArray[Any] | None = None
    for i, head in enumerate(headers):
        image = decode_image(head.path, size)
        if pixels is None:
            pixels = np.empty((len(headers), channels, *image.shape[:2]), np.uint8)
        if image.shape[:2] != pixels.shape[2:]:
            raise _size_error(head.path, image.shape[:2], headers[0].path, pixels.shape[2:])
        pixels[i] = image.transpose(2, 0, 1)
    assert pixels is not None
    return pixels


def _size_error(path: Path, own: tuple[int, ...], first: Path, size: tuple[int, ...]) -> DtoolError:
    (h, w), (h0, w0) = own, size
    return DtoolError(
        f"{path}: {w}x{h} pixels, but {first.name} has {w0}x{h0}",
        f"make all one size; to train, pass --size, e.g. --size {min(h, w, h0, w0)}, to crop and resize all",
    )


def decode_image(path: Path, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A picture's pixels `(H, W, 1 or 3)`, cut and resized to `size` (height, width) if that is given."""
    with open_picture(path) as file:
        if size:
            shrink(file, max(size))
        require_room(file, path, resized=size is not None)
        image = convert_to_eight_bits(file)
        if size:
            image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS)
        return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
