"""An ONNX file read without the numbers of its large weights, which stay in the file until they are copied for a run.

ONNX Runtime, given a whole file, holds its weights up to four times: as the file's bytes, as its own message, as
tensors, and as what it lays out anew. Here the message says of each large weight that it lies in another file, at a
place of `LOCATION`; that file is written when a session is opened (`dtool.onnx.external_data`), and mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dtool.onnx.protobuf import encode_field, encode_number, encode_start, read_fields, read_head
from dtool.util import bounded_reading, memory

LOCATION = " weights"  # no plain name, so that no file can give it itself
LARGE_FILE = 1 << 24  # bytes; a smaller one is read whole
LARGE_WEIGHT = 1 << 16  # bytes; smaller ones stay in the message
ALIGNMENT = 1 << 16  # bytes: a weight begins at a multiple of them, so that every system can map it into memory
MAX_DEPTH = 8  # of graphs inside graphs that are looked through for large weights
MAX_FIELDS = 100  # of a weight: its name, its type, its dimensions
# Bytes of a number, by onnx's number of its type.
SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
_GRAPHS, _NODE, _ATTRIBUTE, _WEIGHT = (6, 11), 1, 5, 5  # numbers of fields
_MOVED = {1, 2, 3, 4, 5, 10, 11, 16}  # types: no bool, which says whether a dropout is off, and none that a shape has
_DIMS, _KIND, _NAME, _RAW, _COMMENT = 1, 2, 8, 9, 12  # of a weight
_SAID = {_DIMS, _KIND, _NAME, _COMMENT}


class Place(NamedTuple):
    """Where a weight's numbers lie in a file."""

    start: int
    length: int


@dataclass(frozen=True)
class Skeleton:
    """A model's bytes without its large weights, and where these lie, by the offset that the bytes give of each."""

    data: bytes
    places: dict[str, Place] = field(default_factory=dict)


class _Field(NamedTuple):
    """A field of a message in a file: where it begins, where its value does, and where both end; wire type and all."""

    number: int
    wire: int
    begin: int
    start: int
    end: int


def read_skeleton(path: Path) -> Skeleton:
    """The model at `path`; one that is small, or makes no sense, as it is.

    Raises DtoolError for what cannot be opened, UsageError if there is no memory for all of it.
    """
    with bounded_reading.open_model(path) as file:
        size = bounded_reading.get_file_size(file)
        memory.require_room(size, str(path), bounded_reading.MORE_MEMORY)
        if size >= LARGE_FILE:
            try:
                return _SkeletonReader(file).read()
            except (ValueError, IndexError):
                pass  # whoever looks through the whole file says what is wrong with it
    return Skeleton(bounded_reading.read_model(path))


Change = Callable[[_Field], list[bytes] | None]


class _SkeletonReader:
    """Reads one file, field by field; of large fields only what is looked through, or kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._places, self._next = file, dict[str, Place](), 0

    def read(self) -> Skeleton:
        """Raises ValueError or IndexError for what is no message."""
        end = bounded_reading.get_file_size(self._file)
        pieces = self._replace(0, end, {7: lambda one: self._read_graph(one, 0)})
        return Skeleton(b"".join(pieces), self._places)

    def _replace(self, start: int, end: int, change: Mapping[int, Change]) -> list[bytes]:
        """A message's bytes, in pieces: of a large field in `change` what that makes of it, unless it is None."""
        pieces, kept = [], start
        for one in self._iterate(start, end):
            is_large = one.wire == 2 and one.end - one.start >= LARGE_WEIGHT
            changed = change[one.number](one) if is_large and one.number in change else None
            if changed is not None:
                head = encode_start(one.number, sum(map(len, changed)))
                pieces += [self._read_bytes(kept, one.begin), head, *changed]
                kept = one.end
        return [*pieces, self._read_bytes(kept, end)]

    def _read_graph(self, graph: _Field, depth: int) -> list[bytes] | None:
        if depth > MAX_DEPTH:
            return None
        inner = dict.fromkeys(_GRAPHS, lambda one: self._read_graph(one, depth + 1))
        attribute = {_ATTRIBUTE: lambda one: self._replace(one.start, one.end, inner)}
        node = {_NODE: lambda one: self._replace(one.start, one.end, attribute)}
        return self._replace(graph.start, graph.end, {**node, _WEIGHT: self._read_weight})

    def _read_weight(self, weight: _Field) -> list[bytes] | None:
        """A weight whose numbers are elsewhere; None for one that is not written as every exporter does."""
        fields = list(islice(self._iterate(weight.start, weight.end), MAX_FIELDS + 1))
        kept, large = [one for one in fields if one.number != _RAW], [one for one in fields if one.number == _RAW]
        if len(large) != 1 or len(fields) > MAX_FIELDS or {one.number for one in kept} - _SAID:
            return None
        length = large[0].end - large[0].start
        said = b"".join(self._read_bytes(one.begin, one.end) for one in kept)
        kind = dict(read_fields(memoryview(said))).get(_KIND)
        if length < LARGE_WEIGHT or kind not in _MOVED:
            return None
        entries = {"location": LOCATION, "offset": str(self._next), "length": str(length)}
        elsewhere = [encode_field(13, encode_field(1, key) + encode_field(2, value)) for key, value in entries.items()]
        self._places[entries["offset"]] = Place(large[0].start, length)
        self._next += -(-length // ALIGNMENT) * ALIGNMENT
        return [said, *elsewhere, encode_number(14, 1)]

    def _iterate(self, start: int, end: int) -> Iterator[_Field]:
        while start < end:
            self._file.seek(start)
            number, wire, head, length = read_head(memoryview(self._file.read(min(20, end - start))))
            value = start + head
            if value + length > end:
                raise ValueError("a field runs past the end")
            yield _Field(number=number, wire=wire, begin=start, start=value, end=value + length)
            start = value + length

    def _read_bytes(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) < end - start:
            raise ValueError("it ends too early")
        return data
