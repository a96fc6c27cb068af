"""The pictures that commands write: marked as dtool's, so that a default name never costs somebody a photograph."""

from __future__ import annotations

import json
import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtool.errors import UsageError
from dtool.util.files import write_atomically

KEY = "dtool"  # of the text in a picture
IN_ONNX = b"\x0a\x05dtool"  # how an entry of an ONNX file's metadata begins, whose key it is


def make_saver(draw: Callable[[], Any], **about: Any) -> Callable[[Path], object]:
    """A function that draws a picture and writes it as a PNG, marked with what `about` says of how it was made."""

    def save(path: Path) -> None:
        from PIL.PngImagePlugin import PngInfo

        import dtool

        notes = PngInfo()
        notes.add_itxt(KEY, json.dumps({"dtool": dtool.__version__} | about, ensure_ascii=False))
        draw().save(path, "PNG", pnginfo=notes)

    return save


def save(path: Path, draw: Callable[[], Any], **about: Any) -> None:
    """Write a picture, whole or not at all; raises DtoolError if that fails."""
    write_atomically(path, make_saver(draw, **about))


def require_own(path: Path, hint: str) -> None:
    """Raise UsageError if there is such a file that dtool did not make: its name was not given, and would cost it."""
    if path.is_file() and not _is_own(path):
        raise UsageError(f"{path} is there, and dtool did not make it", hint)


def _is_own(path: Path) -> bool:
    try:
        return {".png": _is_own_picture, ".npz": _is_own_array, ".onnx": _is_own_network}[path.suffix.lower()](path)
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _is_own_picture(path: Path) -> bool:
    """Whether a PNG has our text before its pixels; without Pillow, which has a limit on their number."""
    with path.open("rb") as file:
        good = file.read(8) == b"\x89PNG\r\n\x1a\n"
        while good and len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"iTXt" and file.read(len(KEY) + 1) == KEY.encode() + b"\0":
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4 - (len(KEY) + 1) * (head[4:] == b"iTXt"), 1)
    return False


def _is_own_array(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return {"x0.npy", "settings.npy"} <= set(archive.namelist())


def _is_own_network(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(IN_ONNX) >= 0
