"""The wire format of protobuf, as far as an ONNX file needs it: messages are pairs of a number and a value."""

from __future__ import annotations

from collections.abc import Iterator


def read_fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The (number, value) pairs of one message; raises ValueError or IndexError for what is none."""
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _read_varint(data, at, tag)
        number, wire = tag >> 3, tag & 7
        length = 8 if wire == 1 else 4
        if wire in (0, 2):
            length = data[at]
            at += 1
            if length > 127:
                length, at = _read_varint(data, at, length)
            if wire == 0:
                yield number, length
                continue
        elif wire not in (1, 5):
            raise ValueError(f"wire type {wire}")
        if number == 0 or at + length > end:
            raise ValueError("a field runs past the end")
        yield number, data[at : at + length]
        at += length


def read_messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """The messages, texts or bytes in field `number`."""
    for n, value in read_fields(data):
        if n == number and isinstance(value, memoryview):
            yield value


def read_varints(data: memoryview) -> Iterator[int]:
    """The whole numbers of a field that holds several; raises ValueError or IndexError for what are none."""
    at = 0
    while at < len(data):
        value, at = data[at], at + 1
        if value > 127:
            value, at = _read_varint(data, at, value)
        yield value


def decode_text(value: int | memoryview | None) -> str:
    """A field as text; "" if it is not there."""
    if value is None:
        return ""
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)


def read_head(data: memoryview) -> tuple[int, int, int, int]:
    """(number, wire type, bytes before the value, bytes of the value) of the field at the beginning of `data`, of which
    20 bytes are enough; raises ValueError or IndexError for what is none.
    """
    tag, at = _read_varint(data, 1, data[0]) if data[0] > 127 else (data[0], 1)
    number, wire = tag >> 3, tag & 7
    if number == 0 or wire not in (0, 1, 2, 5):
        raise ValueError(f"wire type {wire}")
    if wire in (1, 5):
        return number, wire, at, 8 if wire == 1 else 4
    value, end = _read_varint(data, at + 1, data[at]) if data[at] > 127 else (data[at], at + 1)
    return (number, wire, at, end - at) if wire == 0 else (number, wire, end, value)


def encode_number(number: int, value: int) -> bytes:
    """Field `number`, a whole number of 0 or more."""
    return _encode_varint(number << 3) + _encode_varint(value)


def encode_field(number: int, value: str | bytes) -> bytes:
    """Field `number`: a text, bytes, or a message that is encoded already."""
    data = value.encode() if isinstance(value, str) else value
    return encode_start(number, len(data)) + data


def encode_start(number: int, length: int) -> bytes:
    """What precedes the `length` bytes of field `number`."""
    return _encode_varint(number << 3 | 2) + _encode_varint(length)


def _encode_varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _read_varint(data: memoryview, at: int, first: int) -> tuple[int, int]:
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
