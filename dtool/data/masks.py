"""Pictures with their masks, as one more channel: the alpha channel of their own, or the files of another folder."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dtool.data.folder import decode_image
from dtool.data.images import MOST_PIXELS, Images
from dtool.data.listing import scan_folder, warn_of_others
from dtool.data.pixels import open_picture, require_room, shrink
from dtool.errors import DtoolError, UsageError
from dtool.util import memory

CLEAR, OPAQUE = 64, 191  # of 255: what is surely outside a mask, and surely inside


def load_masked(source: str, masks: str | None = None, *, size: tuple[int, int] | None = None) -> Images:
    """The pictures of a folder with their masks: pixels (N, 4, H, W) uint8, red, green, blue and mask.

    masks: a folder with a picture of the same name, whatever its suffix, for each; white is inside. None: the alpha
    channel of the pictures. size: cuts and resizes both, pictures and masks, to (H, W). There are no classes.
    Raises DtoolError for a picture without a mask, one of another size, and masks that are all empty or all full.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise DtoolError(f"{source}: there is no such folder", "give a folder of pictures")
    listing = scan_folder(folder)
    warn_of_others(folder, listing.others)
    if len(listing.paths) < 2:
        raise DtoolError(f"{source}: holds {len(listing.paths)} pictures, too few to train on", "give at least two")
    pairs = [(path, None if masks is None else find_mask(path, folder, Path(masks))) for path in listing.paths]
    pixels: NDArray[np.uint8] | None = None
    for i, (path, mask) in enumerate(pairs):
        one = _read_pair(path, mask, size)
        if pixels is None:
            memory.require_room(len(pairs) * one.size, f"{len(pairs)} pictures of {one.size} values", "--size 64")
            pixels = np.empty((len(pairs), *one.shape), np.uint8)
        if one.shape != pixels.shape[1:]:
            own, first = (f"{n[2]}x{n[1]}" for n in (one.shape, pixels.shape[1:]))
            raise DtoolError(f"{path}: {own} pixels, but {pairs[0][0].name} has {first}", "pass --size, e.g. --size 32")
        pixels[i] = one
    assert pixels is not None
    _require_masks(pixels[:, 3], source, masks)
    return Images(pixels)


def find_mask(path: Path, folder: Path, masks: Path) -> Path:
    """The file in `masks` that lies there as `path` lies in `folder`, whatever its suffix; raises DtoolError."""
    place = masks / path.relative_to(folder)
    if place.is_file():
        return place
    found = sorted(place.parent.glob(f"{_escape(place.stem)}.*")) if place.parent.is_dir() else []
    if not found:
        raise DtoolError(f"{path}: has no mask {place}", "put one there, or take the picture away")
    return found[0]


def _escape(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)


def _read_pair(path: Path, mask: Path | None, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(4, H, W): a picture and its mask."""
    if mask is None:
        return _read_cut_out(path, size)
    picture, own = decode_image(path, size), decode_image(mask, size)
    if picture.shape[:2] != own.shape[:2]:
        sizes = " and ".join(f"{n.shape[1]}x{n.shape[0]}" for n in (picture, own))
        raise DtoolError(f"{path}: it and its mask have {sizes} pixels", "make them one size, or pass --size")
    colours = np.broadcast_to(picture, (*picture.shape[:2], 3))
    grey = own.astype(np.float32).mean(axis=2, keepdims=True).round().astype(np.uint8)
    return np.concatenate([colours, grey], axis=2).transpose(2, 0, 1)


def _read_cut_out(path: Path, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(4, H, W): a picture and its alpha channel; colours are as they are under what is transparent."""
    with open_picture(path) as file:
        if prod(file.size) > MOST_PIXELS and size is None:
            raise DtoolError(f"{path}: {file.width}x{file.height} pixels are too many", "pass --size, e.g. --size 64")
        shrink(file, max(size or file.size))
        require_room(file, path, resized=size is not None)
        ImageOps.exif_transpose(file, in_place=True)
        image = file.convert("RGBA")
        if size:
            image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS)
        return np.asarray(image, np.uint8).transpose(2, 0, 1)


def _require_masks(masks: NDArray[np.uint8], source: str, folder: str | None) -> None:
    """Raise UsageError for masks that say nothing: none has a pixel outside, or none has one inside."""
    where = "the alpha channels are" if folder is None else f"the masks in {folder} are"
    other = "give pictures that are cut out, or a folder of masks: --masks" if folder is None else "white is inside"
    if masks.min() > CLEAR:
        raise UsageError(f"{source}: {where} full everywhere", other)
    if masks.max() < OPAQUE:
        raise UsageError(f"{source}: {where} empty everywhere", other)
