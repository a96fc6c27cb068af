"""A sentence encoder's ONNX file as a graph: from token numbers `(batch, length)` int64 to what a network is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from dtool.export.network.opset import load_at_opset
from dtool.export.network.opset_numbers import OPSET
from dtool.export.network.text_parts import TextGraph
from dtool.models.text_reference import TextReference
from dtool.models.token_ids import encode_empty
from dtool.run.sentence_graph import IDS, MASK, TYPES, SentenceGraph
from dtool.run.sentence_text import SentenceText

BATCH, INNER = "batch", "sentence/"
INT64, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def build_sentence_graph(text: SentenceText) -> TextGraph:
    """The file with its mask made of the token numbers before it, and its states pooled behind it.

    Raises DtoolError for a file that cannot be read, or is of a form that is not known.
    """
    reference, known = text.reference, SentenceGraph(text.folder.weights)
    inner = load_at_opset(text.folder.weights).graph
    compose.add_prefix_graph(inner, INNER, inplace=True)
    graph = onnx.GraphProto(name="text")
    graph.node.extend(_feed(known))
    graph.node.extend(inner.node)
    graph.initializer.extend(inner.initializer)
    graph.node.extend(_pool(INNER + known.states, reference))
    arrays: dict[str, NDArray[Any]] = {
        "pad": np.array(text.pad), "first": np.array([0]), "second": np.array([1]), "last": np.array([-1]),
        "least": np.array(1e-12, np.float32),
    }  # fmt: skip
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    graph.input.append(helper.make_tensor_value_info(IDS, INT64, [BATCH, reference.length]))
    graph.output.append(helper.make_tensor_value_info(reference.name, FLOAT, [BATCH, *reference.shape]))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(proto)
    document = text.tokenizer.to_str()
    return TextGraph(proto, (IDS,), (document,), (encode_empty(document, reference.length),))


def _feed(known: SentenceGraph) -> list[onnx.NodeProto]:
    """The file's inputs: the numbers, where they are no padding, and zeros."""
    nodes = [
        helper.make_node("Equal", [IDS, "pad"], ["is_pad"]),
        helper.make_node("Not", ["is_pad"], ["is_shown"]),
        helper.make_node("Cast", ["is_shown"], ["shown"], to=FLOAT),
        helper.make_node("Unsqueeze", ["shown", "last"], ["shown_states"]),
        helper.make_node("Sub", [IDS, IDS], ["zeros"]),
    ]
    sources = {IDS: IDS, MASK: "is_shown", TYPES: "zeros"}
    for name, value in known.inputs.items():
        nodes.append(helper.make_node("Cast", [sources[name]], [INNER + name], to=value.kind))
    return nodes


def _pool(states: str, reference: TextReference) -> list[onnx.NodeProto]:
    """As `dtool.run.sentence_graph.pool_states`."""
    if not reference.pooled:
        return [helper.make_node("Mul", [states, "shown_states"], [reference.name])]
    if reference.pooling == "cls":
        nodes = [
            helper.make_node("Slice", [states, "first", "second", "second"], ["first_state"]),
            helper.make_node("Squeeze", ["first_state", "second"], ["pooled"]),
        ]
    else:
        nodes = [
            helper.make_node("Mul", [states, "shown_states"], ["shown_only"]),
            helper.make_node("ReduceSum", ["shown_only", "second"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["shown_states", "second"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["pooled"]),
        ]
    return [
        *nodes,
        helper.make_node("ReduceL2", ["pooled", "last"], ["norm"], keepdims=1),
        helper.make_node("Max", ["norm", "least"], ["length"]),
        helper.make_node("Div", ["pooled", "length"], [reference.name]),
    ]
