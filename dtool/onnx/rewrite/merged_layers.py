"""Linear layers of one input become one, and what the blocks take of it one Split: all modulations of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from dtool.onnx.rewrite.graph import Graph, get_attribute
from dtool.onnx.rewrite.modulation import get_weights


@dataclass(frozen=True)
class _Layer:
    """A Gemm, the node that gives its output two more axes, and the one that splits it, if there is one.

    parts: the names and lengths of what comes out.
    """

    gemm: onnx.NodeProto
    last: onnx.NodeProto
    parts: tuple[tuple[str, int], ...]


def rewrite(graph: Graph) -> int:
    """Merge the layers of each input that has several; returns how many were merged."""
    groups: dict[str, list[_Layer]] = {}
    for node in graph.find("Gemm"):
        layer = _find_layer(graph, node)
        if layer is not None:
            groups.setdefault(node.input[0], []).append(layer)
    several = {source: layers for source, layers in groups.items() if len(layers) > 1}
    for source, layers in several.items():
        graph.replace(layers[0].gemm, _make_nodes(graph, source, layers))
        for layer in layers:
            graph.replace(layer.last, [])
    return sum(map(len, several.values()))


def _find_layer(graph: Graph, gemm: onnx.NodeProto) -> _Layer | None:
    """The layer that a Gemm begins, if its output becomes `(B, C, 1, 1)` and nothing else uses it."""
    wide = graph.get_only_user(gemm.output[0], "Unsqueeze")
    axes = graph.get_array(wide.input[1]) if wide is not None else None
    if wide is None or axes is None or axes.tolist() != [2, 3] or get_weights(graph, gemm) is None:
        return None
    split = graph.get_only_user(wide.output[0], "Split")
    last = wide if split is None or get_attribute(split, "axis", 0) != 1 else split
    parts = [(name, (graph.get_shape(name) or ("", ""))[1]) for name in last.output]
    known = tuple((name, length) for name, length in parts if isinstance(length, int))
    return _Layer(gemm, last, known) if len(known) == len(parts) else None


def _make_nodes(graph: Graph, source: str, layers: list[_Layer]) -> list[onnx.NodeProto]:
    found = [get_weights(graph, layer.gemm) for layer in layers]
    pairs = [pair for pair in found if pair is not None]
    weights, bias = (np.concatenate(arrays).astype(np.float32) for arrays in zip(*pairs, strict=True))
    parts = [part for layer in layers for part in layer.parts]
    names = [
        graph.add_constant(weights, "layers/weight"),
        graph.add_constant(bias, "layers/bias"),
        graph.add_constant(np.array([2, 3], np.int64), "axes"),
        graph.add_constant(np.array([length for _, length in parts], np.int64), "layers/lengths"),
    ]
    all_layers, wide = graph.make_name("layers"), graph.make_name("layers/wide")
    return [
        graph.make_node("Gemm", [source, *names[:2]], all_layers, transB=1),
        graph.make_node("Unsqueeze", [all_layers, names[2]], wide),
        graph.make_node("Split", [wide, names[3]], [name for name, _ in parts], axis=1),
    ]
