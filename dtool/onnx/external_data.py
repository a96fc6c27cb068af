"""Weights that an ONNX file keeps in other files beside it: where they may lie, and how they are read.

What is run is a copy that was checked while it was made, in a folder of its own: ONNX Runtime maps the weights from
there into memory, so that they never lie in it twice, and nobody can exchange them between the check and the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from dtool.errors import DtoolError
from dtool.onnx.external_tensor import ExternalTensor
from dtool.onnx.large_weights import LOCATION, SIZES, Place
from dtool.onnx.walk import FLOATS, OnnxFile, is_usable
from dtool.util import bounded_reading, memory
from dtool.util.allocator import return_large_blocks
from dtool.util.files import make_write_error

CHUNK = 1 << 24  # bytes that are checked at a time
MAX_RANK = 64
_KEYS = {"location", "offset", "length", "checksum"}
_TEMPORARY = "free some space there, or name another folder for temporary files, TMPDIR=FOLDER in the environment"
_SAVE_AGAIN = "save it again with its weights in one file beside it, or with external_data=False"


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor whose numbers are `length` bytes of a file, from `start` on. `kind`: onnx's type number.

    location, offset: the file, and the place in it, as the model says them; `start` is another place if the numbers lie
    in the model's own file (`dtool.onnx.large_weights`).
    """

    name: str
    kind: int
    location: str
    offset: int
    start: int
    length: int


@dataclass(frozen=True)
class ExternalWeights:
    """The tensors of an ONNX file that lie in other files of its folder, or in its own, out of its message.

    source: its path.
    """

    tensors: tuple[StoredTensor, ...]
    folder: Path
    source: str

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.length for tensor in self.tensors)

    def read(self, tensor: StoredTensor) -> bytes:
        """A tensor's numbers, checked. Raises DtoolError if they cannot be read, or hold NaN."""
        with self._open(tensor.location) as file:
            return b"".join(self._read_checked(file, tensor))

    @contextlib.contextmanager
    def copy_beside(self, data: bytes) -> Iterator[Path]:
        """A path of the model `data`, its weights beside it, checked; both may go once a session is open.

        Raises DtoolError if they cannot be read, or hold NaN, or there is no room for the copy.
        """
        files = self._group_by_file()
        name = f"{'_' * max(map(len, files))}.onnx"  # none of the others is called so
        with contextlib.ExitStack() as stack:
            scratch = Path(name)
            try:
                scratch = Path(tempfile.gettempdir(), name)
                made = tempfile.TemporaryDirectory(prefix="dtool-", ignore_cleanup_errors=True)
                scratch = Path(stack.enter_context(made), name)
                scratch.write_bytes(data)
                for location, tensors in files.items():
                    self._copy(location, tensors, scratch.parent / location)
            except OSError as error:
                cause = f"the weights of {self.source} are copied for a run: {make_write_error(scratch, error)}"
                raise DtoolError(cause, _TEMPORARY) from error
            with return_large_blocks():
                yield scratch

    def _copy(self, location: str, tensors: list[StoredTensor], target: Path) -> None:
        """Write what the tensors of one file hold to the same places of another."""
        with self._open(location) as file, target.open("xb") as copy:
            for tensor in {(t.offset, t.length, t.kind): t for t in tensors}.values():
                copy.seek(tensor.offset)
                copy.writelines(self._read_checked(file, tensor))

    def _open(self, location: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """The file of this name, or the model's own; raises DtoolError for what is not to be read."""
        if location == LOCATION:
            return bounded_reading.open_model(Path(self.source))
        return open_beside(self.folder, location, self.source)

    def _group_by_file(self) -> dict[str, list[StoredTensor]]:
        groups: dict[str, list[StoredTensor]] = {}
        for tensor in self.tensors:
            groups.setdefault(tensor.location, []).append(tensor)
        return groups

    def _read_checked(self, file: BinaryIO, tensor: StoredTensor) -> Iterator[bytes]:
        """A tensor's bytes, some at a time; raises DtoolError at the end for NaN or infinity."""
        file.seek(tensor.start)
        finite = mask = True
        for start in range(0, tensor.length, CHUNK):
            part = file.read(min(tensor.length - start, CHUNK))
            if len(part) < min(tensor.length - start, CHUNK):
                file_name = self.source if tensor.location == LOCATION else self.folder / tensor.location
                raise DtoolError(f"{file_name} ends before {tensor.name!r} does", _SAVE_AGAIN)
            if tensor.kind in FLOATS and (finite or mask):
                now = is_usable(np.frombuffer(part, FLOATS[tensor.kind]))
                finite, mask = finite and now[0], mask and now[1]
            yield part
        if not (finite or mask):
            raise DtoolError(f"{self.source}: weights {tensor.name!r} hold NaN or infinity", "train or export it again")


def locate_weights(
    file: OnnxFile, path: Path, places: Mapping[str, Place] = MappingProxyType({})
) -> ExternalWeights | None:
    """Where the weights lie that are not in the message of the model at `path`; None if all are.

    places: of those in its own file.

    They may lie in plain files of the same folder alone, no links, within each file's size, in all within the memory
    that there is. Raises DtoolError for anything else, UsageError if there is no memory for them.
    """
    if not file.external:
        return None
    tensors = tuple(_locate(tensor, str(path), places) for tensor in file.external)
    weights = ExternalWeights(tensors, path.parent, str(path))
    memory.require_room(weights.size, f"the weights of {path}", bounded_reading.MORE_MEMORY)
    sizes = {}
    for location in weights._group_by_file():
        with weights._open(location) as data:
            sizes[location] = bounded_reading.get_file_size(data)
    for tensor in tensors:
        if tensor.start + tensor.length > sizes[tensor.location]:
            raise DtoolError(
                f"{path}: {tensor.name!r} would be bytes {tensor.start} to {tensor.start + tensor.length} of "
                f"{tensor.location}, which has {sizes[tensor.location]}",
                "copy both files again: one of them is cut off, or of another export",
            )
    return weights


def _locate(tensor: ExternalTensor, source: str, places: Mapping[str, Place]) -> StoredTensor:
    """Where one tensor says that its numbers are."""
    what = f"{source}: {tensor.name!r}"
    if not tensor.is_initializer:
        raise DtoolError(f"{what} is no weight of a graph, and yet kept in another file", _SAVE_AGAIN)
    if tensor.has_own_data or len(tensor.entries) > len(dict(tensor.entries)):
        raise DtoolError(f"{what} says twice what its numbers are", _SAVE_AGAIN)
    entries = dict(tensor.entries)
    unknown = sorted(entries.keys() - _KEYS)
    if unknown:
        raise DtoolError(f"{what} has external data with {unknown[0][:80]!r}, which dtool does not read", _SAVE_AGAIN)
    location = entries.get("location", "")
    place = places.get(entries.get("offset", "")) if location == LOCATION else None
    if place is None and not is_plain_name(location):
        raise DtoolError(
            f"{what} is kept in {location[:200]!r}, and weights are read from the model's own folder alone",
            "save it again with its weights in one file beside it, under a plain name",
        )
    size = SIZES.get(tensor.kind)
    if size is None or len(tensor.dims) > MAX_RANK:
        raise DtoolError(f"{what} is kept in another file, and of a type or shape that is not read", _SAVE_AGAIN)
    length = prod(tensor.dims) * size
    numbers = {name: entries.get(name, usual) for name, usual in (("offset", "0"), ("length", str(length)))}
    if not all(re.fullmatch(r"[0-9]{1,18}", number) for number in numbers.values()):
        raise DtoolError(f"{what} is kept at {numbers}, which are no numbers of bytes", _SAVE_AGAIN)
    if int(numbers["length"]) != length or (place is not None and place.length != length):
        raise DtoolError(
            f"{what} has {numbers['length']} bytes in {location if place is None else 'its file'}; "
            f"its shape {tensor.dims} takes {length}",
            _SAVE_AGAIN,
        )
    offset = int(numbers["offset"])
    start = offset if place is None else place.start
    return StoredTensor(
        name=tensor.name, kind=tensor.kind, location=location, offset=offset, start=start, length=length
    )


def is_plain_name(name: str) -> bool:
    """Whether this names a file in a folder, and on every system the same: no path, nothing that is written otherwise.

    >>> from dtool.onnx.external_data import is_plain_name
    >>> is_plain_name("net.onnx.data"), is_plain_name("../net.data"), is_plain_name("")
    (True, False, False)
    """
    return (
        0 < len(name) <= 200
        and name.isprintable()
        and not any(letter in '/\\:*?"<>|\ufffd' for letter in name)
        and unicodedata.normalize("NFKC", name) == name
        and name == name.strip()
        and not name.endswith(".")
    )


@contextlib.contextmanager
def open_beside(folder: Path, name: str, source: str) -> Iterator[BinaryIO]:
    """A plain file of a folder, open for reading; neither a link nor another name of a file elsewhere.

    Raises DtoolError for what is not there or is something else.
    """
    itself = f"put {name} itself there, as with cp -L"
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_unlinked(folder / name))
        except FileNotFoundError as error:
            cause = f"{source} keeps weights in {name}, which is not beside it"
            raise DtoolError(cause, f"put {name} into the same folder") from error
        except (OSError, bounded_reading.UnreadableError) as error:
            reason = bounded_reading.explain_read_error(error)
            raise DtoolError(f"{source} keeps weights in {name}, which is not read: {reason}", itself) from error
        yield file


@contextlib.contextmanager
def open_unlinked(path: Path) -> Iterator[BinaryIO]:
    """As `bounded_reading.open_file`; UnreadableError for a link, and for a file with more than one name."""
    before = path.lstat()
    if stat.S_ISLNK(before.st_mode):
        raise bounded_reading.UnreadableError("it is a link")
    with bounded_reading.open_file(path) as file:
        now = os.fstat(file.fileno())
        if not os.path.samestat(before, now):
            raise bounded_reading.UnreadableError("it was exchanged while it was opened")
        if now.st_nlink > 1:
            raise bounded_reading.UnreadableError("it is a hard link: it has several names")
        yield file
