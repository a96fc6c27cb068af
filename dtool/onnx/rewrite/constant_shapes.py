"""Reshape to a shape that is known: `[0, C, H, W]` in the place of what a Shape node says.

A runtime that computes the shape anew at every call cannot see that a residual sum adds arrays of one shape; with the
shape as a constant ONNX Runtime adds them inside the convolution, and the nodes that computed it are gone.
"""

from __future__ import annotations

from math import prod

import numpy as np

from dtool.onnx.rewrite.graph import Graph, Shape


def rewrite(graph: Graph) -> int:
    """Rewrite every Reshape whose result differs from its input in known lengths alone, or has one unknown length."""
    count = 0
    for node in graph.find("Reshape"):
        before, after = graph.get_shape(node.input[0]), graph.get_shape(node.output[0])
        target = graph.get_array(node.input[1])
        shape = _choose_shape(before, after)
        if shape is None or 0 in (before or ()) or (target is not None and target.tolist() == shape):
            continue
        if target is not None and not (target[0] == -1 and shape[0] == 0):
            continue  # it is constant already
        name = graph.add_constant(np.array(shape, np.int64), "shape")
        graph.replace(node, [graph.make_node("Reshape", [node.input[0], name], node.output[0])])
        count += 1
    return count


def _choose_shape(before: Shape | None, after: Shape | None) -> list[int] | None:
    """The constant that Reshape takes for this: 0 where a length stays, -1 at most once."""
    if not before or not after or 0 in after:
        return None
    shape: list[int] = [length if isinstance(length, int) else -1 for length in after]
    if (before[0] == after[0] and before[0] != "") or (shape[0] == -1 and _has_equal_rest(before, after)):
        shape[0] = 0
    return shape if shape.count(-1) <= 1 else None


def _has_equal_rest(before: Shape, after: Shape) -> bool:
    """Whether all but the first lengths are known, and as many numbers: then the first ones are equal, too."""
    rest = [length for length in (*before[1:], *after[1:]) if isinstance(length, int)]
    return len(rest) == len(before) + len(after) - 2 and prod(rest[: len(before) - 1]) == prod(rest[len(before) - 1 :])
