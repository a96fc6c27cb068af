"""What a half-precision network computes, on a machine that has no half precision.

The CPU provider of ONNX Runtime runs most fp16 nodes in float32, without rounding in between: 300·300·1e-4 is 9 there,
and infinity in half precision. Here every result is rounded, so that loss and overflow are seen on any machine.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dtool.export.smaller.half import FLOAT, FLOAT16


def emulate_half(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto`, made by `convert_to_half`, in float32, where each node that was fp16 rounds what it gives to fp16.

    That is fp16 with sums in float32 inside a node, as GPUs do them. `proto` is not changed; the metadata stay.
    """
    typed = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    halves = {v.name for v in typed.value_info if v.type.tensor_type.elem_type == FLOAT16}
    emulation = onnx.ModelProto()
    emulation.CopyFrom(proto)
    graph = emulation.graph
    for tensor in graph.initializer:
        if tensor.data_type == FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Cast" and node.output[0] in halves:
            node.attribute[0].i = FLOAT
        for i, name in enumerate(node.output):
            if name in halves:
                exact, bits = f"{name}_exact", f"{name}_bits"
                node.output[i] = exact
                nodes.append(helper.make_node("Cast", [exact], [bits], to=TensorProto.FLOAT16))
                nodes.append(helper.make_node("Cast", [bits], [name], to=TensorProto.FLOAT))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return emulation
