"""Small ONNX graphs made by hand, for the tests of export."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper

from dtool.errors import DtoolError
from dtool.onnx.inspection import inspect, refuse_unsafe
from tests.support.foreign import FLOAT


def proto(node, *, batch: str | int = "batch", initializer=()) -> onnx.ModelProto:
    """A model of one node, from x `(batch, 3)` to y `(batch, 3)`."""
    shape, kind = [batch, 3], onnx.TensorProto.FLOAT
    value = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph([node], "g", [value("x", kind, shape)], [value("y", kind, shape)], initializer)
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


node = helper.make_node


def examined(proto):
    """What is found in a model that may be run."""
    found = inspect(proto.SerializeToString(), "net.onnx")
    refuse_unsafe(found, "net.onnx")
    return found


def refusal(proto):
    with pytest.raises(DtoolError) as caught:
        examined(proto)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def graph(nodes, name="branch", weights=()):
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("y", FLOAT, None)], weights)


def choice(inner, weights=()):
    """An If with these nodes in both branches."""
    made = graph(inner, weights=weights)
    return node("If", ["go"], ["y"], then_branch=made, else_branch=made)


def function(name, nodes, domain="local"):
    return helper.make_function(domain, name, ["x"], ["y"], nodes, [helper.make_opsetid("", 20)])


def operators(proto):
    """(domain, name) of all nodes, by onnx."""

    def of(nodes):
        for one in nodes:
            yield one.domain, one.op_type
            for attribute in one.attribute:
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    yield from of(inner.node)

    return set(of(proto.graph.node))
