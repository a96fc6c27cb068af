"""Pictures that others are laid on: of any sizes, of which squares are cut out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtool.data.listing import scan_folder, warn_of_others
from dtool.data.pixels import convert_to_eight_bits, open_picture, require_room, shrink
from dtool.errors import DtoolError

MOST = 8  # times the size of what is laid on it: a larger texture is made smaller, as nobody would see its grain


@dataclass(frozen=True)
class Textures:
    """Pictures (3, H, W) uint8, each at least of the size of those that are laid on them."""

    pictures: tuple[NDArray[np.uint8], ...]

    def compute_checksum(self) -> int:
        """A checksum of all their pixels."""
        total = 0
        for one in self.pictures:
            total = zlib.crc32(np.ascontiguousarray(one).data, total)
        return total


def load_textures(source: str, size: tuple[int, int]) -> Textures:
    """The pictures of a folder, for others of size (H, W). Warns of what is not read.

    Raises DtoolError if there are none, or one is smaller than that or cannot be read.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise DtoolError(f"{source}: there is no such folder", "give a folder of pictures to --backgrounds")
    listing = scan_folder(folder)
    warn_of_others(folder, listing.others)
    if not listing.paths:
        raise DtoolError(f"{source}: holds no pictures", "put .png or .jpg files there, or leave --backgrounds out")
    return Textures(tuple(_read_texture(path, size) for path in listing.paths))


def _read_texture(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    with open_picture(path) as file:
        if file.width < size[1] or file.height < size[0]:
            raise DtoolError(
                f"{path}: {file.width}x{file.height} pixels, and {size[1]}x{size[0]} are laid on it",
                "give larger backgrounds, or pass a smaller --size",
            )
        shrink(file, MOST * max(size))
        require_room(file, path, resized=True)
        image = convert_to_eight_bits(file).convert("RGB")
        ratio = MOST * max(size) / max(image.size)
        if ratio < 1:
            image = image.resize((max(size[1], int(image.width * ratio)), max(size[0], int(image.height * ratio))))
        return np.asarray(image, np.uint8).transpose(2, 0, 1)
