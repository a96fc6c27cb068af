"""Resize by whole scales in the place of sizes, which ONNX Runtime computes in the layout of its convolutions."""

from __future__ import annotations

import numpy as np
import onnx

from dtool.onnx.rewrite.graph import Graph, get_attribute


def rewrite(graph: Graph) -> int:
    """Rewrite every nearest Resize `(B, C, H, W)` to whole multiples of its sizes, along H and W alone."""
    count = 0
    for node in graph.find("Resize"):
        scales = _find_scales(graph, node)
        if scales is None:
            continue
        kept = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        for name in ("keep_aspect_ratio_policy", "axes"):
            kept.pop(name, None)
        name = graph.add_constant(np.array(scales, np.float32), "scales")
        graph.replace(node, [graph.make_node("Resize", [node.input[0], "", name], node.output[0], **kept)])
        count += 1
    return count


def _find_scales(graph: Graph, node: onnx.NodeProto) -> list[float] | None:
    before, after = graph.get_shape(node.input[0]), graph.get_shape(node.output[0])
    by_size = len(node.input) == 4 and node.input[3] and not node.input[2]
    if not by_size or before is None or after is None or len(before) != 4 or before[1] != after[1]:
        return None
    if get_attribute(node, "mode", "nearest") != "nearest" or get_attribute(node, "axes", None) is not None:
        return None
    if get_attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch" or not _keeps_batch(graph, node):
        return None
    scales = [1.0, 1.0]
    for old, new in zip(before[2:], after[2:], strict=True):
        if not (isinstance(old, int) and isinstance(new, int) and old > 0 and new % old == 0):
            return None
        scales.append(float(new // old))
    return scales


def _keeps_batch(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether the sizes begin with the batch of what is resized."""
    before, after = graph.get_shape(node.input[0]), graph.get_shape(node.output[0])
    if before and after and before[0] == after[0] and before[0] != "":
        return True
    joined = graph.get_maker(node.input[3], "Concat")
    shape = joined and graph.get_maker(joined.input[0], "Shape", "Slice")
    if shape is not None and shape.op_type == "Slice":
        first = graph.get_array(shape.input[1])
        shape = graph.get_maker(shape.input[0], "Shape") if first is not None and first.tolist() == [0] else None
    return shape is not None and shape.input[0] == node.input[0] and get_attribute(shape, "start", 0) == 0
