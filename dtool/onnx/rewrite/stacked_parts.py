"""Queries, keys and values that are taken out of one array `(B, 3, heads, …)` one by one become one Split."""

from __future__ import annotations

import numpy as np
import onnx

from dtool.onnx.rewrite.graph import Graph


def rewrite(graph: Graph) -> int:
    """Rewrite every reshaped array of which each entry of the second axis is taken by a Slice and a Squeeze."""
    count = 0
    for node in graph.find("Reshape"):
        shape = graph.get_shape(node.output[0])
        if shape is None or len(shape) != 5 or not all(isinstance(length, int) for length in shape[1:]):
            continue
        parts = _find_parts(graph, node.output[0])
        if parts is None or [*parts] != [*range(int(shape[1]))]:
            continue
        heads = int(shape[2])
        merged = [0 if graph.get_array(node.input[1]) is not None else -1, int(shape[1]) * heads, *map(int, shape[3:])]
        if (graph.get_shape(node.input[0]) or ("",))[0] != shape[0] or shape[0] == "":
            merged[0] = -1
        names = [
            graph.add_constant(np.array(merged, np.int64), "shape"),
            graph.add_constant(np.full(len(parts), heads, np.int64), "lengths"),
        ]
        joined = graph.make_name(f"{node.output[0]}/joined")
        graph.replace(node, [
            graph.make_node("Reshape", [node.input[0], names[0]], joined),
            graph.make_node("Split", [joined, names[1]], [one.output[0] for one in parts.values()], axis=1),
        ])  # fmt: skip
        for squeeze in parts.values():
            graph.replace(squeeze, [])
        count += 1
    return count


def _find_parts(graph: Graph, name: str) -> dict[int, onnx.NodeProto] | None:
    """The Squeeze that gives each entry of the second axis, in their order; None if it is used in another way."""
    parts: dict[int, onnx.NodeProto] = {}
    if name in graph.results:
        return None
    for user in graph.users.get(name, []):
        squeeze = graph.get_only_user(user.output[0], "Squeeze") if user.op_type == "Slice" else None
        entry = _get_entry(graph, user) if squeeze is not None else None
        axes = graph.get_array(squeeze.input[1]) if squeeze is not None and len(squeeze.input) == 2 else None
        if squeeze is None or entry is None or axes is None or axes.tolist() != [1] or entry in parts:
            return None
        parts[entry] = squeeze
    return dict(sorted(parts.items()))


def _get_entry(graph: Graph, node: onnx.NodeProto) -> int | None:
    """k, where a Slice takes entry k of the second axis."""
    numbers = [graph.get_array(name) for name in node.input[1:]]
    if len(numbers) < 3 or any(one is None or one.size != 1 for one in numbers):
        return None
    first, last, axis, *step = (int(one.item()) for one in numbers if one is not None)
    return first if axis == 1 and last == first + 1 and first >= 0 and step in ([], [1]) else None
