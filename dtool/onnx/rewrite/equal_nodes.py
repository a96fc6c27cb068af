"""What several nodes compute alike is computed once: each block may apply its own SiLU to the time embedding."""

from __future__ import annotations

import onnx

from dtool.onnx.rewrite.graph import Graph, is_standard


def rewrite(graph: Graph) -> int:
    """Let what the first of equal nodes makes take the place of what the others do."""
    seen: dict[bytes, onnx.NodeProto] = {}
    same: dict[str, str] = {}
    count = 0
    for node in graph.proto.node:
        if len(node.output) != 1 or any(one.HasField("g") or one.graphs for one in node.attribute):
            continue
        if not is_standard(node, node.op_type) or node.op_type.startswith("Random") or graph.results & {*node.output}:
            continue
        first = seen.setdefault(_make_key(node, same), node)
        if first is not node:
            same[node.output[0]] = first.output[0]
            graph.bypass(node, first.output[0])
            count += 1
    return count


def _make_key(node: onnx.NodeProto, same: dict[str, str]) -> bytes:
    key = onnx.NodeProto()
    key.op_type = node.op_type
    key.input.extend(same.get(name, name) for name in node.input)
    key.attribute.extend(sorted(node.attribute, key=lambda one: one.name))
    content: bytes = key.SerializeToString(deterministic=True)
    return content
