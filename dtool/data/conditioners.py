"""dtool's own conditioners: a number, an array in a file, a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.data.folder import decode_image
from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.conditioner import conditioner
from dtool.models.conditions import Condition
from dtool.util import bounded_reading, memory

LUMA = (0.299, 0.587, 0.114)  # of grey in red, green and blue: ITU-R BT.601, as Pillow converts


@conditioner("number", summary="a number, which fills the array")
def number(words: str, condition: Condition) -> NDArray[Any]:
    """A number, for every entry of the array, in the condition's own type."""
    value = _parse_number(words, condition)
    if None in condition.shape:
        raise UsageError(f"{condition.describe()} has no fixed size to be filled with {words}", "give FILE.npy")
    return np.full(tuple(n or 1 for n in condition.shape), value)


def _parse_number(words: str, condition: Condition) -> float | int:
    """A number; a whole one, with all its digits, for a condition of whole numbers."""
    try:
        value = float(words)
    except ValueError as error:
        raise UsageError(f"{condition.name}={format_value(words)} is no number", "e.g. 0.5, or FILE.npy") from error
    if not condition.dtype.startswith("int"):
        return value
    if not (value.is_integer() and abs(value) < 1 << 63):
        raise UsageError(f"{condition.name}={format_value(words)} is no whole number", f"give {condition.describe()}")
    try:
        return int(words)
    except ValueError:  # 7.0, 1e3
        return int(value)


@conditioner("npy", summary="an array in a .npy file, for all images or one entry each")
def npy(words: str, condition: Condition) -> NDArray[Any]:
    """The array in a .npy file; one of Python objects is refused."""
    path = _find_file(words, condition)
    try:
        with bounded_reading.open_file(path) as file:
            header = bounded_reading.read_array_header(file, bounded_reading.get_file_size(file))
            memory.require_room(header.nbytes, f"the array in {path}", "give a smaller one")
            return bounded_reading.read_array(file, header)
    except bounded_reading.UnreadableError as error:
        raise DtoolError(f"{path}: {error}", "write it with numpy.save") from error


@conditioner("image", summary="a picture of the network's size, in -1 … 1")
def image(words: str, condition: Condition) -> NDArray[Any]:
    """A picture as `(C, H, W)` in -1 … 1; raises UsageError for one of another size."""
    _, height, width = _get_picture_shape(words, condition)
    pixels = decode_image(Path(words), None)
    if pixels.shape[:2] != (height, width):
        raise UsageError(
            f"{words} has {pixels.shape[1]}x{pixels.shape[0]} pixels, and {condition.name} takes {width}x{height}",
            f"write {condition.name}=resize:{words} to have it cut and resized",
        )
    return _scale_picture(pixels, words, condition)


@conditioner("resize", summary="a picture, cut and resized to the network's size, in -1 … 1")
def resize(words: str, condition: Condition) -> NDArray[Any]:
    """A picture of any size as `(C, H, W)` in -1 … 1: its middle, of the network's proportions, resized."""
    _, height, width = _get_picture_shape(words, condition)
    return _scale_picture(decode_image(Path(words), (height, width)), words, condition)


def _get_picture_shape(words: str, condition: Condition) -> tuple[int, int, int]:
    """(C, H, W) of a condition that is a picture; raises UsageError if it is none, DtoolError if there is no file."""
    if len(condition.shape) != 3 or None in condition.shape:
        raise UsageError(f"{condition.describe()} is no picture", "give FILE.npy")
    _find_file(words, condition)
    channels, height, width = (n or 1 for n in condition.shape)
    return channels, height, width


def _scale_picture(eight_bits: NDArray[np.uint8], words: str, condition: Condition) -> NDArray[np.float32]:
    """Pixels (H, W, 1 or 3) as `(C, H, W)` in -1 … 1, with the condition's channels."""
    channels = condition.shape[0]
    pixels = eight_bits.astype(np.float32) / 127.5 - 1
    if pixels.shape[2] > 1 == channels:
        pixels = pixels @ np.array(LUMA, dtype=np.float32)[:, None]
    elif pixels.shape[2] == 1:
        pixels = np.repeat(pixels, channels or 1, axis=2)
    if pixels.shape[2] != channels:
        raise UsageError(f"{words} has {pixels.shape[2]} channels, and the network takes {condition.describe()}",
                         "give an array, as FILE.npy")  # fmt: skip
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)


def _find_file(words: str, condition: Condition) -> Path:
    path = Path(words)
    if not path.is_file():
        raise DtoolError(f"{condition.name}: there is no file {path}", "check the path")
    return path
