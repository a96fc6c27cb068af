"""Other people's networks as a sampler calls them: x, t and the output in float32, a time for each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dtool.backends.onnx_interface import Interface
from dtool.backends.onnx_walk import OnnxFile, Value
from dtool.errors import DtoolError

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def require_standard(found: OnnxFile, source: str) -> None:
    """Raise DtoolError if the file uses operators of which not every runtime knows."""
    foreign = sorted({f"{name} of {domain}" for domain, name in found.operators if domain not in ("", "ai.onnx")})
    if foreign:
        raise DtoolError(
            f"{source} uses {foreign[0]}, which other programs may lack", "export it again, without optimising it"
        )


def adapted(proto: onnx.ModelProto, called: Interface) -> onnx.ModelProto:
    """`proto`, changed: the inputs x and t float32, and label int64, in this order, and one output, float32.

    t is `(batch,)`: a network that is told once gets the first; one that takes whole times gets them rounded, as on
    every backend. A file that dtool exported stays as it is.
    """
    graph = proto.graph
    kept = {value.name: value for value in graph.input}
    before: list[onnx.NodeProto] = []
    inputs = [kept[called.x.name]]
    if called.x.kind != FLOAT:
        inputs = [_float("dtool_x", called.x)]
        before.append(helper.make_node("Cast", ["dtool_x"], [called.x.name], to=called.x.kind))
    if called.t.kind == FLOAT and len(called.t.dims or (0,)) == 1 and not called.one_time:
        inputs.append(kept[called.t.name])
    else:
        inputs.append(helper.make_tensor_value_info("dtool_t", FLOAT, ["batch"]))
        before += _times(graph, called)
    if called.label is not None and called.label.kind == INT64:
        inputs.append(kept[called.label.name])
    elif called.label is not None:
        inputs.append(helper.make_tensor_value_info("dtool_label", INT64, ["batch"]))
        before.append(helper.make_node("Cast", ["dtool_label"], [called.label.name], to=called.label.kind))
    outputs = [value for value in graph.output if value.name == called.output.name]
    nodes = [*before, *graph.node]
    if called.output.kind != FLOAT:
        outputs = [_float("dtool_output", called.output)]
        nodes.append(helper.make_node("Cast", [called.output.name], ["dtool_output"], to=FLOAT))
    del graph.input[:], graph.output[:], graph.node[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    graph.node.extend(nodes)
    return proto


def _float(name: str, like: Value) -> onnx.ValueInfoProto:
    made: onnx.ValueInfoProto = helper.make_tensor_value_info(name, FLOAT, like.dims and [*like.dims])
    return made


def _times(graph: onnx.GraphProto, called: Interface) -> list[onnx.NodeProto]:
    """From `dtool_t` to the network's own input: the first or all, rounded or not, of its type and rank."""
    rank = 1 if called.t.dims is None else len(called.t.dims)
    constants: dict[str, Any] = {"dtool_first": [0], "dtool_rank": [-1, *[1] * (rank - 1)] if rank else []}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items())
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    steps += [("Gather", ["dtool_first"], {"axis": 0})] if called.one_time else []
    steps += [("Round", [], {})] if called.whole_times else []
    steps += [("Cast", [], {"to": called.t.kind}), ("Reshape", ["dtool_rank"], {})]
    names = ["dtool_t", *(f"dtool_t{i}" for i in range(1, len(steps))), called.t.name]
    return [
        helper.make_node(kind, [names[i], *more], [names[i + 1]], **attributes)
        for i, (kind, more, attributes) in enumerate(steps)
    ]
