"""A network in closed form, as arithmetic on arrays and as an ONNX file made on the spot, without the onnx package."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

SHAPE = (4, 16, 16)  # large enough that eleven images do not fit into one micro-batch

# (operator, inputs, output) of the graph of `closed_form`
_NODES = (
    ("Reshape", "t column", "u"),
    ("Add", "u c200", "u200"),
    ("Div", "u u200", "share"),
    ("Mul", "x share", "first"),
    ("Mul", "x x", "xx"),
    ("Add", "c1 xx", "bump"),
    ("Div", "u c300", "u300"),
    ("Add", "c1 u300", "late"),
    ("Mul", "bump late", "below"),
    ("Mul", "c0.3 x", "above"),
    ("Div", "above below", "second"),
    ("Add", "first second", "output"),
)


def closed_form(x: Any, t: Any) -> Any:
    """A network that depends on x `(B, 4, 16, 16)` and t `(B,)`, in arithmetic that all arrays share."""
    t = t.reshape(-1, 1, 1, 1)
    return x * (t / (t + 200)) + 0.3 * x / ((1 + x * x) * (1 + t / 300))


def doubled(x: Any, t: Any) -> Any:
    """`closed_form` twice, one under the other: as a network that predicts a variance too has its output."""
    output = closed_form(x, t)
    return output.repeat(1, 2, 1, 1) if hasattr(output, "new_tensor") else np.tile(output, (1, 2, 1, 1))


def onnx_bytes(twice: bool = False) -> bytes:
    """`closed_form`, or `doubled`, as an ONNX model (opset 20, IR 10), with the field numbers of onnx.proto."""
    nodes = (*_NODES[:-1], ("Add", "first second", "once"), ("Tile", "once twice", "output")) if twice else _NODES
    graph = b"".join(_node(*node) for node in nodes) + _field(2, "toy")
    graph += b"".join(_scalar(value) for value in ("200", "1", "300", "0.3"))
    column = struct.pack("<4q", -1, 1, 1, 1)
    graph += _field(5, _number(1, 4) + _number(2, 7) + _field(8, "column") + _field(9, column))
    repeats = struct.pack("<4q", 1, 2, 1, 1)
    graph += (_field(5, _number(1, 4) + _number(2, 7) + _field(8, "twice") + _field(9, repeats))) * twice
    shape = (2 * SHAPE[0], *SHAPE[1:]) if twice else SHAPE
    graph += _value(11, "x", SHAPE) + _value(11, "t", ()) + _value(12, "output", shape)
    opset = _field(1, "") + _number(2, 20)
    return _number(1, 10) + _field(7, graph) + _field(8, opset)


def _node(operator: str, inputs: str, output: str) -> bytes:
    named = b"".join(_field(1, name) for name in inputs.split())
    return _field(1, named + _field(2, output) + _field(4, operator))


def _scalar(value: str) -> bytes:
    """The float32 constant called c<value>."""
    return _field(5, _number(2, 1) + _field(8, f"c{value}") + _field(9, struct.pack("<f", float(value))))


def _value(number: int, name: str, shape: tuple[int, ...]) -> bytes:
    """An input or output, float32 `(batch, *shape)`."""
    sizes = _field(1, _field(2, "batch")) + b"".join(_field(1, _number(1, size)) for size in shape)
    return _field(number, _field(1, name) + _field(2, _field(1, _number(1, 1) + _field(2, sizes))))


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _field(number: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
