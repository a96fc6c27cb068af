"""Text encoders of a folder of ONNX files as one graph: from token numbers to the conditions that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from dtool.errors import UsageError
from dtool.export.network.opset import load_at_opset
from dtool.export.network.opset_numbers import OPSET
from dtool.export.network.text_parts import TextGraph
from dtool.models.readers.onnx_parts import OnnxText
from dtool.models.readers.time_ids import REFINER_COUNT
from dtool.models.token_ids import encode_empty

IDS, BATCH = "input_ids", "batch"
STATES = "made/states"  # of all encoders, side by side
Part = tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]  # nodes, and arrays by name
INT64, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def merge_text_encoders(text: OnnxText) -> TextGraph:
    """As `OnnxText` encodes: the states side by side, the last one's pooled text, zeros for no text, and constants.

    Raises UsageError for encoders that are told more than token numbers, and for a refiner's.
    """
    inputs = tuple(f"{IDS}_{k + 1}" if k else IDS for k in range(len(text.pairs)))
    graph, made = _join_encoders(text, inputs)
    rest = _zero_empty(text, inputs, made) if text.zero_empty else _rename(made)
    for nodes, arrays in (rest, _add_constants(text)):
        graph.node.extend(nodes)
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    lengths = tuple(tokenizer.length for tokenizer, _ in text.pairs)
    shapes = {name: array.shape for name, array in text.encode([""]).items()}
    for name, length in zip(inputs, lengths, strict=True):
        graph.input.append(helper.make_tensor_value_info(name, INT64, [BATCH, length]))
    for name in text.names:
        graph.output.append(helper.make_tensor_value_info(name, FLOAT, [BATCH, *shapes[name][1:]]))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(proto)
    documents = tuple(tokenizer.to_json() for tokenizer, _ in text.pairs)
    empty = tuple(encode_empty(document, length) for document, length in zip(documents, lengths, strict=True))
    return TextGraph(proto, inputs, documents, empty)


def _join_encoders(text: OnnxText, inputs: tuple[str, ...]) -> tuple[onnx.GraphProto, dict[str, str]]:
    """The encoders' nodes in one graph; and the names of the conditions by the values that they are made as."""
    whole, states, pooled = onnx.GraphProto(name="text"), [], ""
    for name, (_, part) in zip(inputs, text.pairs, strict=True):
        if len(part.inputs) != 1:
            hint = "export the sampler alone, to one .onnx file"
            raise UsageError(f"{part.path} takes more than token numbers", hint)
        graph = load_at_opset(part.path).graph
        compose.add_prefix_graph(graph, f"{name}/", inplace=True)
        whole.node.append(helper.make_node("Cast", [name], [graph.input[0].name], to=part.inputs[0].kind))
        whole.node.extend(graph.node)
        whole.initializer.extend(graph.initializer)
        chosen, pooled = (f"{name}/{output}" for output in text.choose_outputs(part))
        states.append(chosen)
    whole.node.append(helper.make_node("Concat", states, [STATES], axis=-1))
    return whole, {STATES: text.made[0], **({pooled: text.made[1]} if len(text.made) > 1 else {})}


def _rename(made: Mapping[str, str]) -> Part:
    return [helper.make_node("Identity", [inner], [name]) for inner, name in made.items()], {}


def _zero_empty(text: OnnxText, inputs: tuple[str, ...], made: Mapping[str, str]) -> Part:
    """What is made of the empty prompt alone becomes 0."""
    arrays: dict[str, NDArray[Any]] = {"one": np.array([1])}
    nodes, unlike = [], []
    for name, (tokenizer, _) in zip(inputs, text.pairs, strict=True):
        arrays[f"{name}/empty"] = np.array(tokenizer([""])[0], dtype=np.int64)
        nodes.append(helper.make_node("Equal", [name, f"{name}/empty"], [f"{name}/same"]))
        nodes.append(helper.make_node("Not", [f"{name}/same"], [f"{name}/other"]))
        nodes.append(helper.make_node("Cast", [f"{name}/other"], [f"{name}/others"], to=FLOAT))
        nodes.append(helper.make_node("ReduceMax", [f"{name}/others", "one"], [f"{name}/unlike"], keepdims=1))
        unlike.append(f"{name}/unlike")
    nodes.append(helper.make_node("Max", unlike, ["kept"]))  # (batch, 1): 1 where there is a prompt
    for inner, name in made.items():
        factor = "kept"
        if inner == STATES:
            factor = "kept_by_token"
            nodes.append(helper.make_node("Unsqueeze", ["kept", "one"], [factor]))
        nodes.append(helper.make_node("Mul", [inner, factor], [name]))
    return nodes, arrays


def _add_constants(text: OnnxText) -> Part:
    """Conditions that are the same for every prompt."""
    arrays: dict[str, NDArray[Any]] = {}
    nodes = []
    for name in text.constants:
        value = text.encode([""])[name]
        if name == "time_ids" and value.shape[-1] == REFINER_COUNT:
            raise UsageError(
                "a refiner's guidance compares with another score, which a file of its text encoder does not know",
                "export the sampler alone, to one .onnx file, and give it what the network is told as arrays",
            )
        arrays |= {f"{name}/value": value, f"{name}/rest": np.array(value.shape[1:], np.int64)}
        nodes += [
            helper.make_node("Shape", [IDS], [f"{name}/batch"], start=0, end=1),
            helper.make_node("Concat", [f"{name}/batch", f"{name}/rest"], [f"{name}/shape"], axis=0),
            helper.make_node("Expand", [f"{name}/value", f"{name}/shape"], [name]),
        ]
    return nodes, arrays
