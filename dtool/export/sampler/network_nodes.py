"""A network's nodes in a sampler's graph, and out of it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import compose, helper

from dtool.errors import DtoolError
from dtool.export.metadata import describe
from dtool.export.sampler.graph_builder import GraphBuilder
from dtool.models.spec import NetworkSpec


def insert_network(
    graph: GraphBuilder, network: onnx.GraphProto, prefix: str, spec: NetworkSpec, sources: Sequence[Sequence[Any]]
) -> str:
    """The network's nodes, their names begun with `prefix`; returns that of its output.

    sources: the node that makes each input, `(operator, *inputs)` or with attributes as a last dict, in the order of
    `list_inputs`, by which `extract_network` finds the inputs again. Raises DtoolError for inputs that are not these.
    """
    weights = {tensor.name for tensor in network.initializer}
    names = [node.name for node in network.input if node.name not in weights]
    if len(names) != len(list_inputs(spec)) or len(network.output) != 1:
        has = f"the inputs {', '.join(names)} and the outputs {', '.join(node.name for node in network.output)}"
        raise DtoolError(f"the network has {has}", "export the network with dtool export")
    inside: onnx.GraphProto = onnx.GraphProto()
    inside.CopyFrom(network)
    # Of initializers that graphs inside nodes read it must be told; it finds them too late by itself.
    compose.add_prefix_graph(inside, prefix, inplace=True, name_map={name: prefix + name for name in weights})
    for name, (operator, *inputs) in zip(names, sources, strict=True):
        attributes = inputs.pop() if isinstance(inputs[-1], dict) else {}
        graph(operator, *inputs, name=prefix + name, **attributes)
    graph.nodes.extend(inside.node)
    graph.initializers.extend(inside.initializer)
    output: str = inside.output[0].name
    return output


def list_inputs(spec: NetworkSpec) -> list[str]:
    """What a network's graph is told, in this order."""
    return ["x", "t", *(["label"] if spec.classes else []), *(one.name for one in spec.conditions)]


def extract_network(
    body: onnx.GraphProto, builder: str, prefix: str, model: onnx.ModelProto, spec: NetworkSpec
) -> onnx.ModelProto:
    """The network's graph, out of the graph that it was inserted into: inputs x, t[, label] and conditions, as before.

    builder: the name that the nodes around it begin with.
    """
    own = [node for node in body.node if node.name.startswith(f"{builder}/")]
    inputs = [name for node in own for name in node.output if name.startswith(prefix)]
    network_values = {name for node in body.node if node not in own for name in node.output}
    [output] = {name for node in own for name in node.input if name in network_values}
    floats, kinds = onnx.TensorProto.FLOAT, {"label": onnx.TensorProto.INT64}
    shapes: dict[str, list[Any]] = {"x": ["batch", *spec.shape]}
    for one in spec.conditions:
        kinds[one.name] = helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        shapes[one.name] = ["batch", *(f"{one.name}_length{k}" if n is None else n for k, n in enumerate(one.shape))]
    names = list_inputs(spec)
    graph = helper.make_graph(
        [
            *(helper.make_node("Identity", [name], [inner]) for name, inner in zip(names, inputs, strict=True)),
            *(node for node in body.node if node not in own),
            helper.make_node("Identity", [output], ["output"]),
        ],
        "network",
        [helper.make_tensor_value_info(n, kinds.get(n, floats), shapes.get(n, ["batch"])) for n in names],
        [helper.make_tensor_value_info("output", floats, ["batch", *spec.output_shape])],
        [tensor for tensor in body.initializer if tensor.name.startswith(prefix)],
    )
    network: onnx.ModelProto = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    describe(network, spec)
    return network
