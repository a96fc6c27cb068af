"""A convolution to a few channels, as a network's last one, as a transposed convolution of stride 1.

The blocked layout pads the channels of a result to eight, and so do its products; a transposed convolution is a matrix
product over the channels, and a sum of shifted images.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.onnx.rewrite.graph import Graph, get_attribute

MOST = 2  # channels of a result that are few
FEWEST = 8  # channels of what goes in, for which a matrix product is worth while


def rewrite(graph: Graph) -> int:
    """Rewrite every k×k convolution of stride 1 to few channels whose result has the size of what goes in."""
    count = 0
    for node in graph.find("Conv"):
        weights = graph.get_array(node.input[1]) if _has_few_results(graph, node) else None
        if weights is None or not _is_narrow(node, weights):
            continue
        turned = np.ascontiguousarray(weights[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
        inputs = [node.input[0], graph.add_constant(turned, f"{node.input[1]}/turned"), *node.input[2:]]
        sizes = list(weights.shape[2:])
        attributes = {"kernel_shape": sizes, "pads": get_attribute(node, "pads", [])}
        graph.replace(node, [graph.make_node("ConvTranspose", inputs, node.output[0], **attributes)])
        count += 1
    return count


def _has_few_results(graph: Graph, conv: onnx.NodeProto) -> bool:
    shape = graph.get_shape(conv.input[1])
    return shape is not None and len(shape) > 0 and isinstance(shape[0], int) and shape[0] <= MOST


def _is_narrow(conv: onnx.NodeProto, weights: NDArray[np.float32]) -> bool:
    rank = weights.ndim - 2
    half = [length // 2 for length in weights.shape[2:]] * 2
    return (
        weights.dtype == np.float32
        and rank == 2
        and weights.shape[1] >= FEWEST
        and all(length % 2 and length > 1 for length in weights.shape[2:])
        and get_attribute(conv, "group", 1) == 1
        and get_attribute(conv, "auto_pad", "NOTSET") == "NOTSET"
        and get_attribute(conv, "pads", []) == half
        and get_attribute(conv, "strides", [1] * rank) == [1] * rank
        and get_attribute(conv, "dilations", [1] * rank) == [1] * rank
    )
