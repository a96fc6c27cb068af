"""A scale and a shift per channel before a 1×1 convolution become part of its weights, as after attention's norm."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.onnx.rewrite.affine import find_affine
from dtool.onnx.rewrite.graph import Graph, get_attribute


def rewrite(graph: Graph) -> int:
    """Rewrite every W·(γ·n + β) + b as (W·γ)·n + (b + W·β), where nothing else uses what is in the bracket."""
    count = 0
    for node in graph.find("Conv"):
        affine = find_affine(graph, node.input[0])
        if affine is None:
            continue
        weights = graph.get_array(node.input[1])
        bias = graph.get_array(node.input[2]) if len(node.input) > 2 else None
        if weights is None or not _is_pointwise(node, weights) or (bias is None and len(node.input) > 2):
            continue
        if len(affine.scale) != weights.shape[1]:
            continue
        exact = weights.astype(np.float64)
        shift = exact[:, :, 0, 0] @ affine.shift + (0 if bias is None else bias)
        names = [
            graph.add_constant((exact * affine.scale[:, None, None]).astype(np.float32), f"{node.input[1]}/scaled"),
            graph.add_constant(shift.astype(np.float32), f"{node.input[1]}/shifted"),
        ]
        kept = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        graph.replace(node, [graph.make_node("Conv", [affine.source, *names], node.output[0], **kept)])
        count += 1
    return count


def _is_pointwise(node: onnx.NodeProto, weights: NDArray[np.float32]) -> bool:
    return (
        weights.dtype == np.float32
        and weights.shape[2:] == (1, 1)
        and get_attribute(node, "group", 1) == 1
        and not any(get_attribute(node, "pads", [0]))
    )
