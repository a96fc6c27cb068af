"""Transposes that undo each other, or that a matrix product can do without.

ONNX Runtime multiplies by the transpose of a matrix without making it, but only where a single Transpose stands before
the product.
"""

from __future__ import annotations

import onnx

from dtool.onnx.rewrite.graph import Graph, Shape, get_attribute


def rewrite(graph: Graph) -> int:
    """Remove pairs; write Transpose(P·Vᵀ) as V·Pᵀ, and a transpose by way of three axes as one."""
    count = 0
    for node in graph.find("Transpose"):
        inner = graph.get_maker(node.input[0], "Transpose")
        if inner is not None and _swaps_last(node) and _swaps_last(inner):
            graph.bypass(node, inner.input[0])
            count += 1
            continue
        product = graph.get_only_maker(node.input[0], "MatMul")
        turned = graph.get_only_maker(product.input[1], "Transpose") if product is not None else None
        if product is not None and turned is not None and _swaps_last(node) and _swaps_last(turned):
            name = graph.make_name(f"{product.input[0]}/transposed")
            order = [*range(len(get_attribute(node, "perm", [])))]
            order[-2:] = order[:-3:-1]
            graph.replace(node, [
                graph.make_node("Transpose", [product.input[0]], name, perm=order),
                graph.make_node("MatMul", [turned.input[0], name], node.output[0]),
            ])  # fmt: skip
            count += 1
    return count + _join_reshaped(graph)


def _swaps_last(node: onnx.NodeProto) -> bool:
    order = get_attribute(node, "perm", [])
    return len(order) > 1 and order == [*range(len(order) - 2), len(order) - 1, len(order) - 2]


def _join_reshaped(graph: Graph) -> int:
    """`(B, H, m, n)` as `(B·H, m, n)`, its last axes exchanged, and as `(B, H, n, m)` again: one Transpose."""
    count = 0
    for outer in graph.find("Reshape"):
        turned = graph.get_only_maker(outer.input[0], "Transpose")
        inner = graph.get_only_maker(turned.input[0], "Reshape") if turned is not None else None
        if turned is None or inner is None or not _swaps_last(turned):
            continue
        before, after = graph.get_shape(inner.input[0]), graph.get_shape(outer.output[0])
        middle = graph.get_shape(inner.output[0])
        if before and after and middle and _is_exchange(before, middle, after):
            graph.replace(outer, [graph.make_node("Transpose", [inner.input[0]], outer.output[0], perm=[0, 1, 3, 2])])
            count += 1
    return count


def _is_exchange(before: Shape, middle: Shape, after: Shape) -> bool:
    if len(before) != 4 or len(after) != 4 or len(middle) != 3 or middle[1:] != before[2:]:
        return False
    whole = all(isinstance(length, int) for length in (*before[1:], *after[1:]))
    return whole and (*before[1:2], *before[:-3:-1]) == after[1:]
