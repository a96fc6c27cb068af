"""A tensor of an ONNX file whose numbers are in another file, as the file says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dtool.onnx.protobuf import decode_text, read_fields, read_messages, read_varints


@dataclass(frozen=True, kw_only=True)
class ExternalTensor:
    """A tensor whose numbers are in another file, as it is written: nothing of it is checked.

    `entries`: (key, value) as the file has them. `is_initializer`: whether it is a weight of a graph of the model, and
    no attribute or constant. `has_own_data`: whether there are numbers in the file itself, too, or none are elsewhere.
    """

    name: str
    kind: int
    dims: tuple[int, ...]
    entries: tuple[tuple[str, str], ...]
    is_initializer: bool
    has_own_data: bool


def parse_external(data: memoryview, parts: dict[int, int | memoryview], is_initializer: bool) -> ExternalTensor:
    """What a tensor, with its fields, says of numbers that are elsewhere."""
    entries = [dict(read_fields(entry)) for entry in read_messages(data, 13)]
    kind = parts.get(2)
    return ExternalTensor(
        name=decode_text(parts.get(8)),
        kind=kind if isinstance(kind, int) else 0,
        dims=tuple(_read_dims(data)),
        entries=tuple((decode_text(entry.get(1)), decode_text(entry.get(2))) for entry in entries),
        is_initializer=is_initializer,
        has_own_data=parts.get(14) != 1 or bool(parts.keys() & {4, 5, 6, 7, 9, 10, 11}),
    )


def _read_dims(data: memoryview) -> Iterator[int]:
    """A tensor's dimensions, which are written one by one or all at once."""
    for number, value in read_fields(data):
        if number == 1:
            yield from [value] if isinstance(value, int) else read_varints(value)
