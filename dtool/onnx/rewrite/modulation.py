"""A group norm's own scale and shift, and those that the time embedding gives, as one scale and one shift.

(γ·n + β)·(1 + s) + t is n·A + B with A = γ·(1 + s) and B = β·(1 + s) + t, and since s and t are parts of a linear
layer's output, so are A and B of another's: two passes over the image for four.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.onnx.rewrite.affine import Affine, find_affine
from dtool.onnx.rewrite.graph import Graph, get_attribute


@dataclass(frozen=True)
class _Part:
    """Some outputs of a linear layer, first ≤ k < last, as `(B, last - first, 1, 1)`."""

    layer: onnx.NodeProto
    first: int
    last: int


def rewrite(graph: Graph) -> int:
    """Rewrite every such modulation whose s and t are parts of the same Gemm with constant weights."""
    count = 0
    for node in graph.find("Add"):
        for scaled, added in (node.input, node.input[::-1]):
            found = _find_modulation(graph, scaled)
            shift = _trace_part(graph, added) if found else None
            if found and shift and _fits(*found, shift):
                graph.replace(node, _make_nodes(graph, node.output[0], *found, shift))
                count += 1
                break
    return count


def _find_modulation(graph: Graph, name: str) -> tuple[Affine, _Part] | None:
    """γ·n + β and s, where a value is (γ·n + β)·(1 + s)."""
    product = graph.get_only_maker(name, "Mul")
    for inner, factor in (product.input, product.input[::-1]) if product is not None else ():
        one_more = graph.get_maker(factor, "Add")
        split = graph.split_constant(one_more) if one_more is not None else None
        if split is None or split[1].size != 1 or split[1].item() != 1:
            continue
        affine, scale = find_affine(graph, inner), _trace_part(graph, split[0])
        if affine is not None and scale is not None:
            return affine, scale
    return None


def _fits(affine: Affine, scale: _Part, shift: _Part) -> bool:
    channels = len(affine.scale)
    return scale.layer is shift.layer and scale.last - scale.first == channels == shift.last - shift.first


def _trace_part(graph: Graph, name: str) -> _Part | None:
    """Which outputs of which Gemm a value `(B, C, 1, 1)` is."""
    shape = graph.get_shape(name)
    node = graph.get_maker(name, "Split", "Unsqueeze", "Reshape", "Gemm")
    if shape is None or node is None or len(shape) < 2 or not isinstance(shape[1], int):
        return None
    if any(length != 1 for length in shape[2:]):
        return None
    if node.op_type == "Gemm":
        return _Part(node, 0, shape[1]) if get_weights(graph, node) is not None else None
    inner = _trace_part(graph, node.input[0])
    if inner is None:
        return None
    if node.op_type != "Split":
        return inner if inner.last - inner.first == shape[1] else None
    if get_attribute(node, "axis", 0) != 1:
        return None
    first = inner.first
    for output in node.output:
        length = (graph.get_shape(output) or ("", ""))[1]
        if not isinstance(length, int):
            return None
        if output == name:
            return _Part(inner.layer, first, first + length)
        first += length
    return None


def get_weights(graph: Graph, layer: onnx.NodeProto) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """W `(out, in)` and b `(out,)` of a Gemm that is x·Wᵀ + b with constant weights."""
    if len(layer.input) != 3 or get_attribute(layer, "transA", 0):
        return None
    if get_attribute(layer, "alpha", 1.0) != 1 or get_attribute(layer, "beta", 1.0) != 1:
        return None
    weights, bias = graph.get_array(layer.input[1]), graph.get_array(layer.input[2])
    if weights is None or bias is None or weights.dtype != np.float32 or bias.ndim != 1:
        return None
    if not get_attribute(layer, "transB", 0):
        weights = weights.T
    return (weights.astype(np.float64), bias.astype(np.float64)) if len(bias) == len(weights) else None


def _make_nodes(graph: Graph, output: str, affine: Affine, scale: _Part, shift: _Part) -> list[onnx.NodeProto]:
    found = get_weights(graph, scale.layer)
    assert found is not None, "the part was traced to a layer with weights"
    weights, bias = found
    s, t = slice(scale.first, scale.last), slice(shift.first, shift.last)
    of_scale, of_shift = affine.scale[:, None], affine.shift[:, None]
    new_weights = np.concatenate([of_scale * weights[s], of_shift * weights[s] + weights[t]])
    new_bias = np.concatenate([affine.scale * (1 + bias[s]), affine.shift * (1 + bias[s]) + bias[t]])
    names = [
        graph.add_constant(numbers.astype(np.float32), f"{scale.layer.input[k]}/modulation")
        for k, numbers in ((1, new_weights), (2, new_bias))
    ]
    parts = ("layer", "wide", "A", "B", "scaled")
    layer, wide, factor, offset, scaled = (graph.make_name(f"{output}/{part}") for part in parts)
    axes = graph.add_constant(np.array([2, 3], np.int64), "axes")
    halves = graph.add_constant(np.full(2, len(affine.scale), np.int64), "lengths")
    return [
        graph.make_node("Gemm", [scale.layer.input[0], *names], layer, transB=1),
        graph.make_node("Unsqueeze", [layer, axes], wide),
        graph.make_node("Split", [wide, halves], [factor, offset], axis=1),
        graph.make_node("Mul", [affine.source, factor], scaled),
        graph.make_node("Add", [scaled, offset], output),
    ]
