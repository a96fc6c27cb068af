"""The wire format of protobuf, as far as an ONNX file needs it: messages are pairs of a number and a value."""

from __future__ import annotations

from collections.abc import Iterator


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (number, value) pairs of one message; raises ValueError or IndexError for what is none."""
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _varint(data, at, tag)
        number, wire = tag >> 3, tag & 7
        length = 8 if wire == 1 else 4
        if wire in (0, 2):
            length = data[at]
            at += 1
            if length > 127:
                length, at = _varint(data, at, length)
            if wire == 0:
                yield number, length
                continue
        elif wire not in (1, 5):
            raise ValueError(f"wire type {wire}")
        if number == 0 or at + length > end:
            raise ValueError("a field runs past the end")
        yield number, data[at : at + length]
        at += length


def messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """The messages, texts or bytes in field `number`."""
    for n, value in fields(data):
        if n == number and isinstance(value, memoryview):
            yield value


def text(value: int | memoryview | None) -> str:
    """A field as text; "" if it is not there."""
    if value is None:
        return ""
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)


def _varint(data: memoryview, at: int, first: int) -> tuple[int, int]:
    """A number whose first byte has been read, and the place after it."""
    result, shift = first & 127, 7
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
