"""A picture file's pixels in eight bits, grey or in colour, whatever the file holds, and how much it may hold."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dtool.errors import DtoolError
from dtool.util import bounded_reading, memory

GREY = ("1", "L", "LA", "La")
LARGE = 1 << 24  # pixels of a picture from which on it is made smaller while it is decoded, where that is possible
NO_PICTURES = (  # measurements, films, and what another program would have to draw
    "BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF",
)  # fmt: skip
ONE_OF_MANY = ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI", "DCX")  # formats whose further pictures are no thumbnails
SIMPLE = ("PNG", "BMP", "GIF", "PPM", "TIFF", "TGA", "JPEG")


@functools.cache
def list_suffixes() -> frozenset[str]:
    """How the names of still pictures end that Pillow reads, in small letters."""
    known, read = Image.registered_extensions(), list_formats()
    return frozenset(suffix for suffix, name in known.items() if name in read)


@functools.cache
def list_formats() -> tuple[str, ...]:
    """Pillow's names of the formats of still pictures that it reads by itself."""
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_PICTURES)


@contextlib.contextmanager
def open_picture(
    path: Path, hint: str = "repair the file or take it away", broken: str = ": broken, or not an image"
) -> Iterator[Image.Image]:
    """A picture file, opened but not yet decoded. What Pillow warns of concerns no user.

    Raises DtoolError for what is broken or no picture, there and in the context; UsageError if there is no memory.
    """
    try:
        with bounded_reading.open_file(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            memory.require_room(bounded_reading.get_file_size(file), f"{path}, as it is,", "give a smaller file")
            with Image.open(file, formats=list_formats()) as image:
                yield image
    except (DtoolError, MemoryError, FileNotFoundError):
        raise
    except UnidentifiedImageError as error:
        raise DtoolError(f"{path}{broken} (no format that is known)", hint) from error
    except Image.DecompressionBombError as error:
        most = f"{2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million"
        raise DtoolError(f"{path}: more than {most} pixels", "make it smaller first") from error
    except bounded_reading.UnreadableError as error:
        raise DtoolError(f"{path}: {error}", "take it away") from error
    except Exception as error:  # decoders of broken files raise what they meet: IndexError, struct.error, KeyError …
        raise DtoolError(f"{path}{broken} ({bounded_reading.explain_read_error(error)})", hint) from error


@dataclass(frozen=True, kw_only=True)
class PictureHeader:
    """A picture before it is decoded. `grey`: it needs one channel. `is_animated`: it is the first of an animation."""

    path: Path
    width: int
    height: int
    grey: bool
    is_animated: bool


def read_header(path: Path) -> PictureHeader:
    """What a picture file says of itself; only palettes are looked up in the pixels. Errors as for `open_picture`."""
    with open_picture(path) as image:
        if image.mode in ("P", "PA"):
            require_room(image, path)
        width, height = image.size
        return PictureHeader(
            path=path, width=width, height=height, grey=is_grey(image), is_animated=is_multi_frame(image)
        )


def is_multi_frame(image: Image.Image) -> bool:
    """Whether an opened file holds further pictures, and no mere thumbnails."""
    return image.format in ONE_OF_MANY and bool(getattr(image, "is_animated", False))


def is_grey(image: Image.Image) -> bool:
    """Whether a picture is grey by its kind: a palette counts by the entries that are used."""
    if image.mode in GREY or image.mode.startswith("I"):
        return True
    if image.mode in ("P", "PA"):
        image.load()
        palette = image.getpalette("RGB") or []
        indices = image.getchannel(0) if image.mode == "PA" else image
        used = (index for index, count in enumerate(indices.histogram()) if count)
        return all(len(set(palette[3 * i : 3 * i + 3])) < 2 for i in used)
    tiles = getattr(image, "tile", None)  # grey of 16 bits with transparency is RGBA to Pillow
    arguments = tiles[0][3] if tiles else ""
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return image.mode == "RGBA" and isinstance(raw, str) and raw.startswith("LA")


def require_room(image: Image.Image, path: Path, resized: bool = False) -> None:
    """Raise UsageError if there is no memory to decode an opened file; resized: only a small copy of it is kept."""
    count, full = prod(image.size), prod(getattr(image, "full", image.size))
    if image.format not in SIMPLE:
        each = 32
    elif image.mode in ("1", "L"):
        each = 2 if resized else 4
    elif image.mode == "RGB":
        each = 5 if resized else 12
    else:
        each = 24
    whole = 6 * full if "progressive" in image.info else 0  # a JPEG's coefficients, all of them at a time
    size = f"{image.width}x{image.height}"
    memory.require_room(each * count + whole, f"{path}, {size} pixels,", "make it smaller first")


def shrink(image: Image.Image, longest: int) -> None:
    """Have a very large JPEG decoded at a fraction of its size, where twice `longest` pixels are left a side."""
    if prod(image.size) > LARGE:
        image.draft(None, (2 * longest, 2 * longest))


def convert_to_eight_bits(file: Image.Image) -> Image.Image:
    """An opened file upright, in mode L or RGB: 16 bits are scaled to 8, what is transparent becomes white.

    Raises ValueError for pixels that are no numbers of up to 16 bits.
    """
    mode = "L" if is_grey(file) else "RGB"
    ImageOps.exif_transpose(file, in_place=True)
    image = _scale_to_eight_bits(file) if file.mode.startswith("I") else file
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _scale_to_eight_bits(image: Image.Image) -> Image.Image:
    """16 bits as 8: Pillow's own conversion cuts them off at 255."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have more than 16 bits")
    eight = np.rint(values / 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        eight[values == clear] = 255
    return Image.fromarray(eight)
