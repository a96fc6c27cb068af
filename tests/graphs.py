"""Small ONNX graphs made by hand, for the tests of export."""

from __future__ import annotations

import onnx


def proto(node, *, batch: str | int = "batch", initializer=()) -> onnx.ModelProto:
    """A model of one node, from x `(batch, 3)` to y `(batch, 3)`."""
    shape, kind = [batch, 3], onnx.TensorProto.FLOAT
    value = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph([node], "g", [value("x", kind, shape)], [value("y", kind, shape)], initializer)
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
