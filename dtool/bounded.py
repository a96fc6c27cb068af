"""What users hand in, read within bounds: files only, no further than a limit, and no array larger than its file."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import GzipFile
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dtool import memory
from dtool.errors import DtoolError

MOST_JSON = 1 << 24  # bytes
MORE_MEMORY = f"use a machine with more memory; or allow more, {memory.VARIABLE}=GB in the environment"
PER_BYTE = 25  # bytes that one of JSON becomes at worst, as in [],[],[]
MOST_HEADER = 10_000  # bytes of an array's description
_KINDS = {
    stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
}  # fmt: skip


class UnreadableError(ValueError):
    """Why a file is not read, as words that fit into brackets behind its name."""


def words(error: BaseException) -> str:
    """Why a file is not read, from what its reader raised, for brackets behind its name.

    Readers of wrong numbers stumble over Python's own errors, which say nothing of the file.
    """
    if isinstance(error, OSError) and error.errno and error.errno != errno.EINVAL:  # it is sought where no place is
        return os.strerror(error.errno)
    said = " ".join(str(error).split())[:200]
    own = isinstance(error, (UnicodeError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError))
    foreign = (isinstance(error, OSError) and error.errno) or said.startswith(("invalid literal for", "embedded null"))
    return said if said and not (own or foreign) else "what it says of itself makes no sense"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, open for reading; links are followed. Nothing that could block or never end is opened.

    Raises UnreadableError for a folder, a FIFO, a socket or a device, OSError for what is not there or not to be read.
    """
    _require_file(path.stat())
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a FIFO that took its place would block Path.open
        _require_file(os.fstat(file.fileno()))
        yield file


def _require_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS.items() if test(found.st_mode)), "something else")
        raise UnreadableError(f"it is {kind}, not a file")


def size_of(file: IO[bytes]) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def content(path: Path, most: int | None = None, hint: str = "give a smaller file") -> bytes:
    """All of a file, at most `most` bytes; errors as for `opened`, UsageError if there is no memory for it."""
    with opened(path) as file:
        size = size_of(file)
        if most is not None and size > most:
            raise UnreadableError(f"it has {size} bytes; no more than {most} are read")
        memory.require_room(size, str(path), hint)
        data = file.read(size + 1 if most is None else most + 1)
    if len(data) > (size if most is None else most):
        raise UnreadableError("it grows while it is read")
    return data


def model(path: Path) -> bytes:
    """All of a model's file; raises DtoolError for what cannot be opened, UsageError if there is no memory for it."""
    with _told_of(path):
        return content(path, hint=MORE_MEMORY)


def require_room_for(path: Path, copies: int) -> None:
    """Raise DtoolError for a model's file that cannot be opened, UsageError if there is no memory for its copies."""
    with _told_of(path), opened(path) as file:
        memory.require_room(copies * size_of(file), str(path), MORE_MEMORY)


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """What goes wrong in opening a model's file, as a DtoolError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DtoolError(f"there is no file {path}", "check the path") from error
    except (OSError, UnreadableError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DtoolError(f"cannot read {path}: {said}", "give a model's file that you may read") from error


def text(path: Path, most: int) -> str:
    """A text file in UTF-8, at most `most` bytes; errors as for `content`."""
    return content(path, most).decode("utf-8")


def json_of(path: Path, most: int = MOST_JSON) -> Any:
    """What a JSON file holds; errors as for `content`, ValueError if it is no JSON."""
    return parsed(text(path, most), str(path))


def parsed(written: str, what: str) -> Any:
    """What JSON says; ValueError if it is none, UsageError if there is no memory for it."""
    memory.require_room(PER_BYTE * len(written), what, "give a smaller file")
    try:
        return json.loads(written)
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None


@dataclass(frozen=True)
class ArrayHeader:
    """What a .npy says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * self.dtype.itemsize


def array_header(file: IO[bytes], size: int) -> ArrayHeader:
    """Read the header of a .npy of `size` bytes; the file is left where the numbers begin.

    Raises UnreadableError if it is none, if it holds Python objects, or if what it promises is not what follows.
    """
    start = file.read(8)
    wide = start[6:7] == b"\x02"
    if len(start) < 8 or start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise UnreadableError("it is no array in NumPy's format")
    length = file.read(4 if wide else 2)
    count = int.from_bytes(length, "little")
    if count > MOST_HEADER:
        raise UnreadableError(f"its header has {count} bytes")
    described = io.BytesIO(length + file.read(count))
    read = np.lib.format.read_array_header_2_0 if wide else np.lib.format.read_array_header_1_0
    try:
        shape, fortran, dtype = read(described, MOST_HEADER)
    except Exception as error:  # whatever a parser says of words that are none
        raise UnreadableError("its header makes no sense") from error
    if dtype.hasobject:
        raise UnreadableError("it holds Python objects")
    header = ArrayHeader(tuple(shape), dtype, fortran)
    follow = size - 8 - len(length) - count
    if min(header.shape, default=1) < 0 or header.nbytes != follow:
        raise UnreadableError(f"its header promises {header.nbytes} bytes, and {follow} follow")
    return header


def fill(file: IO[bytes] | GzipFile, array: NDArray[Any]) -> int:
    """Read as many bytes as a C-contiguous array has, into it; returns how many there were."""
    view, done = array.reshape(-1).view(np.uint8).data, 0
    while done < len(view) and (count := file.readinto(view[done : done + (1 << 22)])):  # type: ignore[union-attr]
        done += count
    return done


def array(file: IO[bytes], header: ArrayHeader) -> NDArray[Any]:
    """The numbers that follow a header; ask for room before. UnreadableError if the file ends before they do."""
    found = np.empty(header.shape[::-1] if header.fortran else header.shape, header.dtype)
    if header.nbytes and fill(file, found) < header.nbytes:
        raise UnreadableError("it ends too early")
    return found.T if header.fortran else found
