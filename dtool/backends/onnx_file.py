"""Looking into an ONNX file before it is run: its metadata, and the reasons not to run it.

Reads the few protobuf fields that matter, so that nothing but ONNX Runtime is needed to sample. Field numbers are those
of onnx.proto (IR 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dtool.errors import DtoolError

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
_DOMAINS = {"", "ai.onnx", "com.microsoft"}
_FLOAT = 1


@dataclass
class OnnxFile:
    """What was found in a file."""

    metadata: dict[str, str] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    external: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)


def inspect(data: bytes, source: str) -> OnnxFile:
    """Walk the model in `data`; raises DtoolError if it is truncated or no ONNX model at all."""
    found = OnnxFile()
    try:
        numbers = _model(memoryview(data), found)
    except (ValueError, IndexError) as error:
        raise DtoolError(f"{source} is not an ONNX file, or is cut off ({error})", "export it again") from error
    if 7 not in numbers:
        raise DtoolError(f"{source} is not an ONNX file: it holds no graph", "export it again")
    return found


def refuse(found: OnnxFile, source: str) -> None:
    """Raise DtoolError if the model must not be run: weights elsewhere, unknown operators, its own noise, NaN."""
    if found.external:
        raise DtoolError(
            f"{source} keeps weights in other files (e.g. of {found.external[0]!r})",
            "export it with external_data=False",
        )
    random = sorted(name for _, name in found.operators if name in _RANDOM)
    if random:
        raise DtoolError(
            f"{source} draws random numbers of its own ({', '.join(random)})",
            "noise comes from dtool; export in eval mode",
        )
    foreign = sorted({domain for domain, _ in found.operators} - _DOMAINS)
    if foreign:
        raise DtoolError(f"{source} uses operators of {', '.join(foreign)}", "export it with standard operators only")
    if found.not_finite:
        raise DtoolError(f"{source}: weights {found.not_finite[0]!r} hold NaN or infinity", "train or export it again")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (number, value) pairs of one protobuf message."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or at + length > end:
            raise ValueError("a field runs past the end")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _model(data: memoryview, found: OnnxFile) -> set[int]:
    numbers = set()
    for number, value in _fields(data):
        numbers.add(number)
        if not isinstance(value, memoryview):
            continue
        if number == 7:
            _graph(value, found)
        elif number == 14:
            pair = {n: _text(v) for n, v in _fields(value)}
            found.metadata[pair.get(1, "")] = pair.get(2, "")
        elif number == 25:  # a local function
            _nodes(value, 7, found)
    return numbers


def _graph(data: memoryview, found: OnnxFile) -> None:
    _nodes(data, 1, found)
    for number, value in _fields(data):
        if number == 5 and isinstance(value, memoryview):
            _tensor(value, found)


def _nodes(data: memoryview, where: int, found: OnnxFile) -> None:
    for number, value in _fields(data):
        if number != where or not isinstance(value, memoryview):
            continue
        operator = domain = ""
        for n, v in _fields(value):
            if n == 4:
                operator = _text(v)
            elif n == 7:
                domain = _text(v)
            elif n == 5 and isinstance(v, memoryview):
                _attribute(v, found)
        found.operators.add((domain, operator))


def _attribute(data: memoryview, found: OnnxFile) -> None:
    for number, value in _fields(data):
        if not isinstance(value, memoryview):
            continue
        if number in (6, 11):
            _graph(value, found)
        elif number in (5, 10):
            _tensor(value, found)


def _tensor(data: memoryview, found: OnnxFile) -> None:
    parts = dict(_fields(data))
    name = _text(parts.get(8, memoryview(b"")))
    if parts.get(14) == 1 or 13 in parts:
        found.external.append(name)
    raw = parts.get(9)
    if parts.get(2) == _FLOAT and isinstance(raw, memoryview) and not np.isfinite(np.frombuffer(raw, np.float32)).all():
        found.not_finite.append(name)


def _text(value: int | memoryview) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)
