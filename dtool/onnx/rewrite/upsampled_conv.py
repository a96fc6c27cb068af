"""Nearest upsampling by two and a 3×3 convolution as one transposed convolution: 16 products for 36.

Two rows of the enlarged image are one row of the small one, so the three weights of a column meet two of its numbers:
w0 and w1 + w2 for an even row, w0 + w1 and w2 for an odd one. Those are a transposed convolution's, of length 4 and
stride 2; what lies outside is zero for both.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.onnx.rewrite.graph import Graph, get_attribute

# Rows: the taps of the transposed convolution; columns: the weights that each is the sum of.
TAPS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float64)


def rewrite(graph: Graph) -> int:
    """Rewrite every such pair whose enlarged image nothing else uses."""
    count = 0
    for node in graph.find("Conv"):
        resize = graph.get_only_maker(node.input[0], "Resize")
        if resize is None or not _doubles(graph, resize):
            continue
        weights = graph.get_array(node.input[1])
        if weights is None or not _is_plain(node, weights):
            continue
        name = graph.add_constant(make_weights(weights), f"{node.input[1]}/upsampled")
        inputs = [resize.input[0], name, *node.input[2:]]
        attributes = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        graph.replace(node, [graph.make_node("ConvTranspose", inputs, node.output[0], **attributes)])
        count += 1
    return count


def make_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weights `(in, out, 4, 4)` for those of the convolution `(out, in, 3, 3)`."""
    sums: NDArray[np.float64] = np.einsum("oikl,ak,bl->ioab", weights.astype(np.float64), TAPS, TAPS)
    return sums.astype(np.float32)


def _doubles(graph: Graph, resize: onnx.NodeProto) -> bool:
    scales = graph.get_array(resize.input[2]) if len(resize.input) == 3 else None
    return (
        scales is not None
        and scales.tolist() == [1, 1, 2, 2]
        and get_attribute(resize, "mode", "nearest") == "nearest"
        and get_attribute(resize, "coordinate_transformation_mode", "half_pixel") == "asymmetric"
        and get_attribute(resize, "nearest_mode", "round_prefer_floor") == "floor"
    )


def _is_plain(conv: onnx.NodeProto, weights: NDArray[np.float32]) -> bool:
    return (
        weights.dtype == np.float32
        and weights.shape[2:] == (3, 3)
        and get_attribute(conv, "group", 1) == 1
        and get_attribute(conv, "auto_pad", "NOTSET") == "NOTSET"
        and get_attribute(conv, "pads", [0] * 4) == [1, 1, 1, 1]
        and get_attribute(conv, "strides", [1, 1]) == [1, 1]
        and get_attribute(conv, "dilations", [1, 1]) == [1, 1]
    )
