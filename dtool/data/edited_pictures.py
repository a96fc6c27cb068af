"""Pictures that a run begins at, and their masks: read as they are, of the network's size or brought to it if asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dtool.data.conditioners import LUMA
from dtool.data.listing import scan_folder, warn_of_others
from dtool.data.pixels import convert_to_eight_bits, open_picture, require_room, shrink
from dtool.errors import DtoolError, UsageError
from dtool.util import memory


@dataclass(frozen=True, kw_only=True)
class EditedPictures:
    """`pixels` `(n, C, H, W)` uint8; `clear` `(n, 1, H, W)`, where a picture is not opaque, drawn on white."""

    pixels: NDArray[np.uint8]
    clear: NDArray[np.bool_]


def read_pictures(path: Path, shape: tuple[int, ...], *, fit: bool) -> EditedPictures:
    """The picture, or those of a folder in the order of their names, for a network of pictures `(C, H, W)`.

    A grey one is repeated for a network in colour. fit: cut the middle out, resize it, and take the colour away where
    the network has none. Raises DtoolError for what cannot be read, UsageError for what does not fit.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError(f"the network's samples, of shape {shape}, are no pictures of one or three channels",
                         "give arrays: dtool.sample(…, image=)")  # fmt: skip
    paths = _list_pictures(path)
    memory.require_room(4 * len(paths) * int(np.prod(shape)), f"{len(paths)} pictures of {shape}", "give fewer")
    read = [_read_picture(each, shape, fit) for each in paths]
    return EditedPictures(pixels=np.stack([pixels for pixels, _ in read]), clear=np.stack([clear for _, clear in read]))


def _list_pictures(path: Path) -> list[Path]:
    if not path.exists():
        raise DtoolError(f"there is no file or folder {path}", "check the path")
    if not path.is_dir():
        return [path]
    listing = scan_folder(path)
    if not listing.paths:
        raise DtoolError(f"{path}: holds no images", "put picture files there: .png, .jpg, .webp, .tif …")
    warn_of_others(path, listing.others)
    return list(listing.paths)


def _read_picture(path: Path, shape: tuple[int, ...], fit: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels `(C, H, W)`, and where they are not opaque `(1, H, W)`."""
    channels, height, width = shape
    with open_picture(path) as file:
        if fit:
            shrink(file, max(height, width))
        require_room(file, path, resized=fit)
        image = convert_to_eight_bits(file)  # which also turns the file upright
        has_alpha = file.has_transparency_data and not file.mode.startswith("I")
        alpha = file.convert("RGBA").getchannel("A") if has_alpha else Image.new("L", image.size, 255)
    if image.size != (width, height):
        if not fit:
            raise UsageError(
                f"{path}: {image.width}x{image.height} pixels, and the network's pictures have {width}x{height}",
                "give one of that size, or --fit, which cuts the middle out and resizes it",
            )
        image, alpha = (ImageOps.fit(each, (width, height), Image.Resampling.LANCZOS) for each in (image, alpha))
    pixels = np.asarray(image, np.uint8).reshape(height, width, -1)
    clear = np.asarray(alpha)[None] < 255
    if (pixels == pixels[:, :, :1]).all():
        pixels = pixels[:, :, :1]  # grey, however it is stored
    if pixels.shape[2] > channels:
        if not fit:
            raise UsageError(f"{path}: in colour, and the network's pictures are grey",
                             "give a grey one, or --fit, which takes the colour away")  # fmt: skip
        pixels = np.rint(pixels @ np.array(LUMA)[:, None]).astype(np.uint8)
    return np.repeat(pixels, channels // pixels.shape[2], axis=2).transpose(2, 0, 1), clear


def read_masks(path: Path, size: tuple[int, int], *, fit: bool) -> NDArray[np.float32]:
    """The mask, or those of a folder in the order of their names, `(n, 1, H, W)`: 1 where a picture is white.

    A coloured one counts by its brightness. Errors as of `read_pictures`.
    """
    masks = [_read_picture(each, (3, *size), fit)[0] for each in _list_pictures(path)]
    grey = np.einsum("nchw,c->nhw", np.stack(masks), np.array(LUMA)) / 255
    white: NDArray[np.float32] = grey[:, None].clip(0, 1).astype(np.float32)
    return white
