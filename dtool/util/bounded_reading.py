"""What users hand in, read within bounds: files only, no further than a limit, and no array larger than its file."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import GzipFile
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.util import memory

MAX_JSON_BYTES = 1 << 24  # bytes
MORE_MEMORY = f"use a machine with more memory; or allow more, {memory.LIMIT_VARIABLE}=GB in the environment"
JSON_OVERHEAD = 25  # bytes that one of JSON becomes at worst, as in [],[],[]
MAX_HEADER_BYTES = 10_000  # bytes of an array's description
_KINDS = {
    stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
}  # fmt: skip


class UnreadableError(ValueError):
    """Why a file is not read, as words that fit into brackets behind its name."""


def explain_read_error(error: BaseException) -> str:
    """Why a file is not read, from what its reader raised, for brackets behind its name.

    Readers of wrong numbers stumble over Python's own errors, which say nothing of the file.
    """
    if isinstance(error, OSError) and error.errno and error.errno != errno.EINVAL:  # it is sought where no place is
        return os.strerror(error.errno)
    reason = " ".join(str(error).split())[:200]
    own = isinstance(error, (UnicodeError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError))
    foreign = (isinstance(error, OSError) and error.errno) or reason.startswith(
        ("invalid literal for", "embedded null")
    )
    return reason if reason and not (own or foreign) else "what it says of itself makes no sense"


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """A file, open for reading; links are followed. Nothing that could block or never end is opened.

    Raises UnreadableError for a folder, a FIFO, a socket or a device, OSError for what is not there or not to be read.
    """
    _require_file(path.stat())
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a FIFO that took its place would block Path.open
        _require_file(os.fstat(file.fileno()))
        yield file


def _require_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS.items() if test(status.st_mode)), "something else")
        raise UnreadableError(f"it is {kind}, not a file")


def get_file_size(file: IO[bytes]) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def read_bytes(path: Path, most: int | None = None, hint: str = "give a smaller file") -> bytes:
    """All of a file, at most `most` bytes; errors as for `open_file`, UsageError if there is no memory for it."""
    with open_file(path) as file:
        size = get_file_size(file)
        if most is not None and size > most:
            raise UnreadableError(f"it has {size} bytes; no more than {most} are read")
        memory.require_room(size, str(path), hint)
        data = file.read(size + 1 if most is None else most + 1)
    if len(data) > (size if most is None else most):
        raise UnreadableError("it grows while it is read")
    return data


def read_model(path: Path) -> bytes:
    """All of a model's file; raises DtoolError for what cannot be opened, UsageError if there is no memory for it."""
    with _translate_errors(path):
        return read_bytes(path, hint=MORE_MEMORY)


@contextlib.contextmanager
def open_model(path: Path) -> Iterator[BinaryIO]:
    """A model's file, open for reading; raises DtoolError for what cannot be opened or read."""
    with _translate_errors(path), open_file(path) as file:
        yield file


def require_room_for(path: Path, copies: int) -> None:
    """Raise DtoolError for a model's file that cannot be opened, UsageError if there is no memory for its copies."""
    with open_model(path) as file:
        memory.require_room(copies * get_file_size(file), str(path), MORE_MEMORY)


@contextlib.contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """What goes wrong in opening a model's file, as a DtoolError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DtoolError(f"there is no file {path}", "check the path") from error
    except (OSError, UnreadableError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DtoolError(f"cannot read {path}: {reason}", "give a model's file that you may read") from error


def read_text(path: Path, most: int) -> str:
    """A text file in UTF-8, at most `most` bytes; errors as for `read_bytes`."""
    return read_bytes(path, most).decode("utf-8")


def read_json(path: Path, most: int = MAX_JSON_BYTES) -> Any:
    """What a JSON file holds; errors as for `read_bytes`, ValueError if it is no JSON."""
    return parse_json(read_text(path, most), str(path))


def parse_json(text: str, what: str) -> Any:
    """What JSON says; ValueError if it is none, UsageError if there is no memory for it."""
    memory.require_room(JSON_OVERHEAD * len(text), what, "give a smaller file")
    try:
        return json.loads(text)
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


def read_array_header(file: IO[bytes], size: int) -> ArrayHeader:
    """Read the header of a .npy of `size` bytes; the file is left where the numbers begin.

    Raises UnreadableError if it is none, if it holds Python objects, or if what it promises is not what follows.
    """
    start = file.read(8)
    wide = start[6:7] == b"\x02"
    if len(start) < 8 or start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise UnreadableError("it is no array in NumPy's format")
    length = file.read(4 if wide else 2)
    count = int.from_bytes(length, "little")
    if count > MAX_HEADER_BYTES:
        raise UnreadableError(f"its header has {count} bytes")
    described = io.BytesIO(length + file.read(count))
    read = np.lib.format.read_array_header_2_0 if wide else np.lib.format.read_array_header_1_0
    try:
        shape, fortran, dtype = read(described, MAX_HEADER_BYTES)
    except Exception as error:  # whatever a parser says of words that are none
        raise UnreadableError("its header makes no sense") from error
    if dtype.hasobject:
        raise UnreadableError("it holds Python objects")
    header = ArrayHeader(tuple(shape), dtype, fortran)
    follow = size - 8 - len(length) - count
    if min(header.shape, default=1) < 0 or header.nbytes != follow:
        raise UnreadableError(f"its header promises {header.nbytes} bytes, and {follow} follow")
    return header


def read_into(file: IO[bytes] | GzipFile, array: NDArray[Any]) -> int:
    """Read as many bytes as a C-contiguous array has, into it; returns how many there were."""
    view, done = array.reshape(-1).view(np.uint8).data, 0
    while done < len(view) and (count := file.readinto(view[done : done + (1 << 22)])):  # type: ignore[union-attr]
        done += count
    return done


def read_array(file: IO[bytes], header: ArrayHeader) -> NDArray[Any]:
    """The numbers that follow a header; ask for room before. UnreadableError if the file ends before they do."""
    array = np.empty(header.shape[::-1] if header.fortran else header.shape, header.dtype)
    if header.nbytes and read_into(file, array) < header.nbytes:
        raise UnreadableError("it ends too early")
    return array.T if header.fortran else array


def read_stored_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array stored uncompressed in an .npz; raises UnreadableError if it is compressed, or does not fit its header.

    Ask for room before. What else zipfile raises on a damaged file passes through.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise UnreadableError("it is compressed")
    with archive.open(info) as file:
        array = read_array(file, read_array_header(file, info.compress_size))
        if file.read(1):  # reading to the end compares the checksum
            raise UnreadableError("it goes on")
        return array
