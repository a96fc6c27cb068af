"""The text encoder in a sampler's graph: once for a micro-batch, from token numbers to what the network is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from onnx import compose, helper

from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.condition_graph import NOW, rename_values
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.export.sampler.hoisting import is_hoisted
from dtool.models.conditions import Condition
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import name_without

ENCODER = "encoder/"
FILLED = "filled/"  # a row of token numbers, as long as the encoder takes it


def list_made(text: TextGraph) -> list[str]:
    """The conditions that the encoder makes."""
    return [value.name for value in text.proto.graph.output]


def replace_conditions(spec: NetworkSpec, text: TextGraph) -> NetworkSpec:
    """The spec of network and encoder together: token numbers in the place of what is made of them.

    Their null value is the empty prompt, which is what guidance compares with where no other is given.
    """
    made = set(list_made(text))
    ids = [
        Condition(name=name, shape=(len(empty),), dtype="int64", null=empty)
        for name, empty in zip(text.inputs, text.empty, strict=True)
    ]
    rest = [one for one in spec.conditions if one.name not in made]
    return spec.model_copy(update={"conditions": (*ids, *rest)})


def add_text_encoder(graph: GraphBuilder, text: TextGraph) -> None:
    """What is made of the token numbers of this micro-batch, under the names that the network's step reads."""
    inside = onnx.GraphProto()
    inside.CopyFrom(text.proto.graph)
    weights = {tensor.name: ENCODER + tensor.name for tensor in inside.initializer}
    compose.add_prefix_graph(inside, ENCODER, inplace=True, name_map=dict(weights))
    for name in text.inputs:
        graph("Identity", NOW + name, name=ENCODER + name)
    graph.nodes.extend(inside.node)
    graph.initializers.extend(inside.initializer)
    for name in list_made(text):
        graph("Identity", ENCODER + name, name=NOW + name)


def add_row_filling(graph: onnx.GraphProto, text: TextGraph) -> None:
    """Let the rows of token numbers be shorter than the encoder's: fill them up as their tokenizer does.

    graph: a sampler's, whose inputs have the names that they have outside. A row that is too long stops the run, with
    an error that names the node, which says so. A tokenizer that does not say how it fills up leaves the length fixed.
    """
    fill, filled = GraphBuilder("fill"), {}
    dims = {value.name: value.type.tensor_type.shape.dim for value in graph.input}
    for ids, length, document in zip(text.inputs, text.lengths, text.tokenizers, strict=True):
        padding = json.loads(document).get("padding")
        for name in (ids, name_without(ids)) if padding else ():
            if name not in dims:
                continue
            _fill_up(fill, name, length, padding)
            dims[name][1].dim_param = f"{name}_length"  # in the place of the number
            filled[name] = FILLED + name
    rename_values(graph, filled)
    given = {inside: name for name, inside in filled.items()}
    for value in (*graph.input, *graph.initializer):
        value.name = given.get(value.name, value.name)
    nodes = [*fill.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(fill.initializers)


def _fill_up(fill: GraphBuilder, name: str, length: int, padding: dict[str, Any]) -> None:
    missing = fill("Sub", fill.ints(length), fill("Shape", name, start=1, end=2))
    size = fill("Concat", fill("Shape", name, start=0, end=1), missing, axis=0)
    filling = fill("Expand", fill.constant([[padding["pad_id"]]], np.int64), size)
    fill.nodes[-1].name = f"{name}: a row has at most {length} numbers"  # what a runtime says where it stops
    parts = [name, filling] if padding["direction"] == "Right" else [filling, name]
    fill("Concat", *parts, axis=1, name=FILLED + name)


def extract_text(body: onnx.GraphProto, model: onnx.ModelProto, spec: NetworkSpec) -> onnx.ModelProto:
    """The encoder's graph, taken out of the batch's body again; spec: that of network and encoder together."""
    ids = [one for one in spec.conditions if any(NOW + one.name in node.output for node in body.node)]
    own = [node for node in body.node if node.name.startswith("run/")]
    inputs = [one for one in ids if any(ENCODER + one.name in node.output for node in own)]
    made = [node for node in own if node.op_type == "Identity" and node.input[0].startswith(ENCODER)]
    graph = helper.make_graph(
        [
            *(helper.make_node("Identity", [one.name], [ENCODER + one.name]) for one in inputs),
            *(node for node in body.node if node not in own and node.op_type != "Loop" and not is_hoisted(node)),
            *(helper.make_node("Identity", [node.input[0]], [node.output[0].removeprefix(NOW)]) for node in made),
        ],
        "text",
        [make_value_info(one.name, np.int64, ["batch", *one.shape]) for one in inputs],
        [make_value_info(node.output[0].removeprefix(NOW), np.float32, None) for node in made],
        [tensor for tensor in body.initializer if tensor.name.startswith(ENCODER)],
    )
    encoder: onnx.ModelProto = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    return encoder
