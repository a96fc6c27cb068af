"""Other people's networks as a sampler calls them: x, t and the output in float32, a time for each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec
from dtool.onnx.external_data import ExternalWeights
from dtool.onnx.interface import Interface
from dtool.onnx.walk import OnnxFile, ValueInfo

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def require_standard(file: OnnxFile, source: str) -> None:
    """Raise DtoolError if the file uses operators of which not every runtime knows."""
    defined = {call[:2] for call in file.calls if call}  # by a function in the file itself
    foreign = sorted(
        f"{name} of {domain}"
        for domain, name in file.operators
        if domain not in ("", "ai.onnx") and (domain, name) not in defined
    )
    if foreign:
        raise DtoolError(
            f"{source} uses {foreign[0]}, which other programs may lack", "export it again, without optimising it"
        )


def embed_weights(proto: onnx.ModelProto, weights: ExternalWeights | None) -> onnx.ModelProto:
    """`proto`, changed: the weights that lie in other files are inside it. Raises what their `read` raises."""
    places = {(t.name, t.location, t.offset): t for t in weights.tensors} if weights else {}
    graphs = [proto.graph] if weights else []
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            for attribute in node.attribute:
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        for tensor in graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL and weights is not None:
                entries = {entry.key: entry.value for entry in tensor.external_data}
                place = places[tensor.name, entries["location"], int(entries.get("offset", 0))]
                tensor.raw_data = weights.read(place)
                del tensor.external_data[:]
                tensor.ClearField("data_location")
    return proto


def adapt_interface(proto: onnx.ModelProto, called: Interface, spec: NetworkSpec) -> onnx.ModelProto:
    """`proto`, changed: inputs x and t float32, label int64 and the spec's conditions, and one output, float32.

    They are in this order, and the conditions of the types that they have in the spec.

    t is `(batch,)`: a network that is told once gets the first; one that takes whole times gets them rounded, as on
    every backend. A file that dtool exported stays as it is.
    """
    graph = proto.graph
    kept = {value.name: value for value in graph.input}
    before: list[onnx.NodeProto] = []
    inputs = [kept[called.x.name]]
    if called.x.kind != FLOAT:
        inputs = [_make_float_info("dtool_x", called.x)]
        before.append(helper.make_node("Cast", ["dtool_x"], [called.x.name], to=called.x.kind))
    if called.t.kind == FLOAT and len(called.t.dims or (0,)) == 1 and not called.one_time:
        inputs.append(kept[called.t.name])
    else:
        inputs.append(helper.make_tensor_value_info("dtool_t", FLOAT, ["batch"]))
        before += _convert_times(graph, called)
    if called.label is not None and called.label.kind == INT64:
        inputs.append(kept[called.label.name])
    elif called.label is not None:
        inputs.append(helper.make_tensor_value_info("dtool_label", INT64, ["batch"]))
        before.append(helper.make_node("Cast", ["dtool_label"], [called.label.name], to=called.label.kind))
    for one in spec.conditions:
        value, kind = called.conditions[one.name], helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        if value.kind == kind:
            inputs.append(kept[value.name])
        else:
            dims = [f"{one.name}_{k}" if n is None else n for k, n in enumerate(one.shape)]
            inputs.append(helper.make_tensor_value_info(f"dtool_{one.name}", kind, ["batch", *dims]))
            before.append(helper.make_node("Cast", [f"dtool_{one.name}"], [value.name], to=value.kind))
    outputs = [value for value in graph.output if value.name == called.output.name]
    nodes = [*before, *graph.node]
    if called.output.kind != FLOAT:
        outputs = [_make_float_info("dtool_output", called.output)]
        nodes.append(helper.make_node("Cast", [called.output.name], ["dtool_output"], to=FLOAT))
    del graph.input[:], graph.output[:], graph.node[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    graph.node.extend(nodes)
    return proto


def _make_float_info(name: str, like: ValueInfo) -> onnx.ValueInfoProto:
    info: onnx.ValueInfoProto = helper.make_tensor_value_info(name, FLOAT, like.dims and [*like.dims])
    return info


def _convert_times(graph: onnx.GraphProto, called: Interface) -> list[onnx.NodeProto]:
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
