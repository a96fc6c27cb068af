"""Attention as one node, which ONNX Runtime computes block by block, without the (queries, keys) array of all scores.

The node is ONNX Runtime's own `MultiHeadAttention`, and the file defines a function of that name in standard operators.
ONNX Runtime (1.32) runs its kernel; a runtime that has none runs the function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN, NAME = "com.microsoft", "MultiHeadAttention"
BY_HEAD = [0, 2, 1, 3]  # (B, length, heads, numbers) ↔ (B, heads, length, numbers)


@dataclass(frozen=True, kw_only=True)
class _Attention:
    """softmax(scale·q·kᵀ)·v for each head: q, k, v and `out`, the result, are `(B, length, heads·numbers)`."""

    query: str
    key: str
    value: str
    out: str
    heads: int
    scale: float


def fuse_attention(proto: onnx.ModelProto) -> int:
    """Replace attention in the outer graph of `proto`, as PyTorch's exporter writes it; returns how many were found.

    What has a mask, or shares a part with something else, stays as it is.
    """
    graph = _Graph(proto.graph)
    found = [one for node in proto.graph.node if node.op_type == "Softmax" and (one := graph.find_attention(node))]
    if not found:
        return 0
    made = {one.out: _make_node(one) for one in found}
    nodes = [made.get(node.output[0], node) for node in proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(_drop_unused(nodes, [value.name for value in proto.graph.output]))
    _drop_unused_weights(proto.graph)
    proto.functions.append(make_function())
    proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return len(found)


def make_function() -> onnx.FunctionProto:
    """MultiHeadAttention of (query, key, value) in standard operators, for any number of heads and any lengths."""
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    for name, attribute, value, kind in (
        ("head_count", "num_heads", "value_int", onnx.AttributeProto.INT),
        ("factor", "scale", "value_float", onnx.AttributeProto.FLOAT),
    ):
        nodes.append(helper.make_node("Constant", [], [name]))
        nodes[-1].attribute.add(name=value, type=kind, ref_attr_name=attribute)
    for name, numbers in (("first", [0]), ("keep", [0, 0]), ("rest", [-1])):
        add("Constant", [], name, value=numpy_helper.from_array(np.array(numbers, np.int64)))
    add("Unsqueeze", ["head_count", "first"], "heads")
    add("Concat", ["keep", "heads", "rest"], "split", axis=0)
    add("Concat", ["keep", "rest"], "joined", axis=0)
    for name, order in (("query", BY_HEAD), ("key", [0, 2, 3, 1]), ("value", BY_HEAD)):
        add("Reshape", [name, "split"], f"{name}_split")
        add("Transpose", [f"{name}_split"], f"{name}_by_head", perm=order)
    add("Mul", ["query_by_head", "factor"], "query_scaled")
    add("MatMul", ["query_scaled", "key_by_head"], "scores")
    add("Softmax", ["scores"], "shares", axis=-1)
    add("MatMul", ["shares", "value_by_head"], "result_by_head")
    add("Transpose", ["result_by_head"], "result_split", perm=BY_HEAD)
    add("Reshape", ["result_split", "joined"], "output")
    return helper.make_function(
        DOMAIN, NAME, ["query", "key", "value"], ["output"], nodes, [helper.make_opsetid("", 20)],
        attributes=["num_heads", "scale"],
    )  # fmt: skip


def _make_node(one: _Attention) -> onnx.NodeProto:
    inputs = [one.query, one.key, one.value]
    return helper.make_node(NAME, inputs, [one.out], domain=DOMAIN, num_heads=one.heads, scale=one.scale)


class _Graph:
    """A graph's nodes by what they make and use."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.makers = {name: node for node in graph.node for name in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in _list_inputs(node):
                self.users.setdefault(name, []).append(node)
        self.numbers = {t.name: t for t in graph.initializer if t.data_type in (TensorProto.FLOAT, TensorProto.INT64)}
        self.results = {value.name for value in graph.output}

    def find_attention(self, softmax: onnx.NodeProto) -> _Attention | None:
        """What this softmax is the middle of; None if it is no attention, or one of another form."""
        scores = self._get_maker(softmax.input[0], "MatMul")
        product = self._get_only_user(softmax.output[0], "MatMul")
        if scores is None or product is None or _get(softmax, "axis", -1) not in (-1, 3):
            return None
        if product.input[0] != softmax.output[0] or self._get_only_user(scores.output[0], "Softmax") is None:
            return None
        query, factor = self._skip_scale(scores.input[0])
        key, other = self._skip_scale(scores.input[1])
        parts = [self._find_joined(each) for each in (query, self._skip_transpose(key), product.input[1])]
        found = [part for part in parts if part is not None]
        if len(found) < 3 or len({(heads, numbers) for _, heads, numbers in found}) > 1:
            return None
        (q, heads, numbers), (k, *_), (v, *_) = found
        out = self._find_result(product, heads * numbers)
        if out is None:
            return None
        return _Attention(query=q, key=k, value=v, out=out, heads=heads, scale=factor * other)

    def _get_maker(self, name: str, kind: str) -> onnx.NodeProto | None:
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind and not node.domain else None

    def _get_only_user(self, name: str, kind: str) -> onnx.NodeProto | None:
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == kind and name not in self.results else None

    def _get_numbers(self, name: str) -> np.ndarray[Any, Any] | None:
        """The values of a constant."""
        if name in self.numbers:
            return numpy_helper.to_array(self.numbers[name])
        node = self._get_maker(name, "Constant")
        value = _get(node, "value", None) if node is not None else None
        return None if value is None else numpy_helper.to_array(value)

    def _skip_scale(self, name: str) -> tuple[str, float]:
        """(what a product with one number is made of, that number); 1 if it is none."""
        node = self._get_maker(name, "Mul")
        factor = None if node is None else self._get_numbers(node.input[1])
        return (name, 1.0) if node is None or factor is None or factor.size != 1 else (node.input[0], factor.item())

    def _skip_transpose(self, name: str) -> str:
        """What this is the transpose of, by the last two axes: directly, or with batch and heads as one axis.

        The exporter writes the second; its shapes are then of x `(B, heads, length, numbers)`: `(-1, length, numbers)`
        and `(B, heads, numbers, length)`.
        """
        node = self._get_maker(name, "Transpose")
        if node is not None:
            return node.input[0] if _get(node, "perm", []) == [0, 1, 3, 2] else ""
        outer = self._get_maker(name, "Reshape")
        turned = outer and self._get_maker(outer.input[0], "Transpose")
        inner = turned and self._get_maker(turned.input[0], "Reshape")
        if not (outer and turned and inner) or _get(turned, "perm", []) != [0, 2, 1]:
            return ""
        source = inner.input[0]
        flat = self._trace_shape(inner.input[1], source)
        full = self._trace_shape(outer.input[1], source)
        return source if flat == [-1, "axis 2", "axis 3"] and full == ["axis 0", "axis 1", "axis 3", "axis 2"] else ""

    def _trace_shape(self, name: str, source: str) -> list[int | str]:
        """A shape that is put together of constants and of axes of `source` `(B, heads, length, numbers)`."""
        numbers = self._get_numbers(name)
        if numbers is not None:
            return [int(n) for n in numbers.reshape(-1)]
        joined = self._get_maker(name, "Concat")
        if joined is not None:
            return [part for piece in joined.input for part in self._trace_shape(piece, source)]
        piece = self._get_maker(name, "Slice")
        shape = piece and self._get_maker(piece.input[0], "Shape")
        if not (piece and shape) or shape.input[0] != source or len(piece.input) != 3 or _get(shape, "end", None):
            return []
        ends = [self._get_numbers(each) for each in piece.input[1:]]
        if any(end is None or end.size != 1 for end in ends):
            return []
        first, last = (int(end.item()) for end in ends if end is not None)
        rank = 4
        return [f"axis {k}" for k in range(*slice(first, last).indices(rank))]

    def _find_joined(self, name: str) -> tuple[str, int, int] | None:
        """(x, heads, numbers) where this is x `(B, length, heads·numbers)` by heads."""
        turned = self._get_maker(name, "Transpose")
        split = turned and self._get_maker(turned.input[0], "Reshape")
        if not (turned and split) or _get(turned, "perm", []) != BY_HEAD:
            return None
        sizes = self._get_sizes(split.input[1])
        if len(sizes) != 4 or not all(isinstance(n, int) and n > 0 for n in sizes[2:]):
            return None
        return split.input[0], int(sizes[2]), int(sizes[3])

    def _find_result(self, product: onnx.NodeProto, width: int) -> str | None:
        """The result with its heads joined to `(B, length, width)`."""
        turned = self._get_only_user(product.output[0], "Transpose")
        joined = turned and self._get_only_user(turned.output[0], "Reshape")
        if not (turned and joined) or _get(turned, "perm", []) != BY_HEAD:
            return None
        sizes = self._get_sizes(joined.input[1])
        return joined.output[0] if len(sizes) == 3 and sizes[-1] in (-1, width) else None

    def _get_sizes(self, shape: str) -> list[int | str]:
        """A shape, with "?" for what is no constant."""
        numbers = self._get_numbers(shape)
        if numbers is not None:
            return [int(n) for n in numbers.reshape(-1)]
        joined = self._get_maker(shape, "Concat")
        if joined is None:
            return []
        pieces = [self._get_numbers(piece) for piece in joined.input]
        return [size for piece in pieces for size in (["?"] if piece is None else map(int, piece.reshape(-1)))]


def _get(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node."""
    return helper.get_node_attr_value(node, name) if any(a.name == name for a in node.attribute) else default


def _list_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, the graphs inside it included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            for inner in graph.node:
                yield from _list_inputs(inner)
            yield from (value.name for value in graph.output)


def _drop_unused(nodes: Sequence[onnx.NodeProto], results: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes of which something is used, in their order."""
    needed, kept = set(results), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(_list_inputs(node))
            kept.append(node)
    return kept[::-1]


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    counts = Counter(name for node in graph.node for name in _list_inputs(node))
    counts.update(value.name for value in graph.output)
    kept = [tensor for tensor in graph.initializer if counts[tensor.name]]
    del graph.initializer[:]
    graph.initializer.extend(kept)
