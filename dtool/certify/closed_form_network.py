"""A network in closed form, as arithmetic on arrays and as an ONNX file made on the spot, without the onnx package."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from dtool.onnx.protobuf import encode_field, encode_number

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

# What makes it larger by the class
_TOLD = (
    ("Cast", "label", "kind"),
    ("Reshape", "kind column", "kinds"),
    ("Mul", "kinds c0.1", "more"),
    ("Add", "more c1", "factor"),
    ("Mul", "plain factor", "larger"),
)
_FLOAT, _INT64 = 1, 7  # kinds of numbers


def closed_form(x: Any, t: Any) -> Any:
    """A network that depends on x `(B, 4, 16, 16)` and t `(B,)`, in arithmetic that all arrays share."""
    t = t.reshape(-1, 1, 1, 1)
    return x * (t / (t + 200)) + 0.3 * x / ((1 + x * x) * (1 + t / 300))


def closed_form_with_variance(x: Any, t: Any) -> Any:
    """`closed_form` twice, one under the other: as a network that predicts a variance too has its output."""
    output = closed_form(x, t)
    return output.repeat(1, 2, 1, 1) if hasattr(output, "new_tensor") else np.tile(output, (1, 2, 1, 1))


def tell_class(fn: Any) -> Any:
    """`fn` with a class `(B,)`, by which its output is larger: F(x, t)·(1 + 0.1·class)."""

    def told(x: Any, t: Any, label: Any) -> Any:
        size = label.to(x.dtype) if hasattr(label, "new_tensor") else label.astype(x.dtype)
        return fn(x, t) * (1 + 0.1 * size.reshape(-1, 1, 1, 1))

    return told


def make_onnx(*, twice: bool = False, told: bool = False) -> bytes:
    """`closed_form`, or with `twice` `closed_form_with_variance`, as an ONNX model, opset 20, IR 10; see `tell_class`.

    told: whether it takes a class.
    """
    nodes = (*_NODES[:-1], ("Add", "first second", "plain"), *(_TOLD if told else ()))
    nodes += (("Tile" if twice else "Mul", f"{'larger' if told else 'plain'} {'twice' if twice else 'c1'}", "output"),)
    graph = b"".join(_encode_node(*node) for node in nodes) + encode_field(2, "toy")
    graph += b"".join(_encode_scalar(value) for value in ("200", "1", "300", "0.3", "0.1"))
    column = struct.pack("<4q", -1, 1, 1, 1)
    graph += encode_field(
        5, encode_number(1, 4) + encode_number(2, 7) + encode_field(8, "column") + encode_field(9, column)
    )
    repeats = struct.pack("<4q", 1, 2, 1, 1)
    graph += (
        encode_field(5, encode_number(1, 4) + encode_number(2, 7) + encode_field(8, "twice") + encode_field(9, repeats))
    ) * twice
    shape = (2 * SHAPE[0], *SHAPE[1:]) if twice else SHAPE
    graph += _encode_value(11, "x", SHAPE) + _encode_value(11, "t", ()) + _encode_value(12, "output", shape)
    graph += _encode_value(11, "label", (), _INT64) * told
    opset = encode_field(1, "") + encode_number(2, 20)
    return encode_number(1, 10) + encode_field(7, graph) + encode_field(8, opset)


def _encode_node(operator: str, inputs: str, output: str) -> bytes:
    named = b"".join(encode_field(1, name) for name in inputs.split())
    to_float = encode_field(1, "to") + encode_number(3, _FLOAT) + encode_number(20, 2)
    attributes = encode_field(5, to_float) if operator == "Cast" else b""
    return encode_field(1, named + encode_field(2, output) + encode_field(4, operator) + attributes)


def _encode_scalar(value: str) -> bytes:
    """The float32 constant called c<value>."""
    return encode_field(
        5, encode_number(2, 1) + encode_field(8, f"c{value}") + encode_field(9, struct.pack("<f", float(value)))
    )


def _encode_value(number: int, name: str, shape: tuple[int, ...], kind: int = _FLOAT) -> bytes:
    """An input or output `(batch, *shape)` of this kind of numbers."""
    sizes = encode_field(1, encode_field(2, "batch")) + b"".join(
        encode_field(1, encode_number(1, size)) for size in shape
    )
    return encode_field(
        number,
        encode_field(1, name) + encode_field(2, encode_field(1, encode_number(1, kind) + encode_field(2, sizes))),
    )
