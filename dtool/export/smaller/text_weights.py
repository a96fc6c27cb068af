"""A text encoder with its weights in eight bits, which it computes with in float32, and what that loses.

Activations stay as they are, so that a prompt means the same beside any others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from dtool.export.network.text_parts import TextGraph
from dtool.models.runtime import Runtime
from dtool.models.token_ids import encode_prompts
from dtool.onnx.session import open_session, run_session

ROUNDS = 8  # in which rows and columns are balanced
LEAST = 1 << 12  # numbers of a matrix that is worth it
PROMPTS = (
    "", "a red heart", "a picture of a cat", "a small red house by the sea", "an astronaut riding a horse",
    "the flag of a country", "two people who hold hands", "fruit", "a blue square", "a smiling face with sunglasses",
    "a fast train at night", "a bottle with a popping cork",
)  # fmt: skip


@dataclass(frozen=True)
class TextLoss:
    """Bytes before and after, and over some prompts the least cosine between what is made of each in both."""

    before: int
    after: int
    cosine: float

    def __str__(self) -> str:
        sizes = f"{self.before / 1e6:.1f} MB in float32, {self.after / 1e6:.1f} MB in eight bits"
        return f"  text encoder {sizes}: cosine at least {self.cosine:.5f} over {len(PROMPTS)} prompts"


def shrink_text(text: TextGraph) -> tuple[TextGraph, TextLoss]:
    """The encoder with its larger matrices as int8, scales of a table's rows, and of a product's rows and columns."""
    proto = onnx.ModelProto()
    proto.CopyFrom(text.proto)
    graph = proto.graph
    for tensor in [one for one in graph.initializer if _is_matrix(one)]:
        users = [node for node in graph.node if tensor.name in node.input]
        kinds = {(node.op_type, list(node.input).index(tensor.name)) for node in users}
        shrink = _choose_way(kinds, users)
        if shrink is not None and users:
            shrink(graph, tensor, users)
    onnx.checker.check_model(proto)
    small = TextGraph(proto, text.inputs, text.tokenizers, text.empty)
    return small, TextLoss(text.proto.ByteSize(), proto.ByteSize(), _compare(text, small))


def _is_matrix(tensor: onnx.TensorProto) -> bool:
    is_large = len(tensor.dims) == 2 and tensor.dims[0] * tensor.dims[1] >= LEAST
    return is_large and tensor.data_type == onnx.TensorProto.FLOAT


Way = Callable[[onnx.GraphProto, onnx.TensorProto, "list[onnx.NodeProto]"], None]


def _choose_way(kinds: set[tuple[str, int]], users: list[onnx.NodeProto]) -> Way | None:
    """How a matrix that these nodes use is made smaller; None if it stays."""
    if kinds == {("Gather", 0)} and all(_read_flag(node, "axis") == 0 for node in users):
        return _shrink_table
    if kinds <= {("MatMul", 1), ("Gemm", 1)}:
        return lambda graph, tensor, _: _shrink_product(graph, tensor)
    return None


def _read_flag(node: onnx.NodeProto, name: str) -> int:
    return next((int(each.i) for each in node.attribute if each.name == name), 0)


def _quantise_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 and a scale for each row: the largest of its numbers is 127 or -127."""
    largest = np.abs(values).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(values / scale[:, None]).astype(np.int8), scale


def _balance(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors of rows and columns, without which the largest numbers of all rows and columns are nearly alike.

    Of MiniLM, whose matrices have a few large rows, they leave a third of the error of columns alone.
    """
    sizes = np.abs(values).astype(np.float64)
    rows, columns = np.ones((len(values), 1)), np.ones((1, values.shape[1]))
    for _ in range(ROUNDS):
        for factors, axis in ((rows, 1), (columns, 0)):
            largest = (sizes / rows / columns).max(axis=axis, keepdims=True)
            factors *= np.sqrt(np.where(largest > 0, largest, 1))
    return rows, columns


def _shrink_product(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> None:
    name, values = tensor.name, numpy_helper.to_array(tensor)
    rows, columns = _balance(values)
    whole = max(float(np.abs(values / rows / columns).max()), 1e-30) / 127
    arrays: dict[str, NDArray[Any]] = {
        f"{name}/int8": np.rint(values / rows / columns / whole).astype(np.int8),
        f"{name}/columns": (columns[0] * whole).astype(np.float32),
        f"{name}/rows": rows.astype(np.float32),
    }
    graph.initializer.remove(tensor)
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items())
    numbers, scale, factors = arrays
    graph.node.insert(0, helper.make_node("Mul", [f"{name}/scaled", factors], [name]))
    graph.node.insert(0, helper.make_node("DequantizeLinear", [numbers, scale], [f"{name}/scaled"], axis=1))


def _shrink_table(graph: onnx.GraphProto, tensor: onnx.TensorProto, users: list[onnx.NodeProto]) -> None:
    """Only the rows that are looked up become float32."""
    last = f"{tensor.name}/last"
    numbers, scale = f"{tensor.name}/int8", f"{tensor.name}/scale"
    values, scales = _quantise_rows(numpy_helper.to_array(tensor))
    graph.initializer.remove(tensor)
    arrays: dict[str, NDArray[Any]] = {numbers: values, scale: scales, last: np.array([-1])}
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items())
    for node in users:
        place, ids, out = list(graph.node).index(node), node.input[1], node.output[0]
        made = [
            helper.make_node("Gather", [numbers, ids], [f"{out}/int8"], axis=0),
            helper.make_node("Cast", [f"{out}/int8"], [f"{out}/float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Gather", [scale, ids], [f"{out}/scales"], axis=0),
            helper.make_node("Unsqueeze", [f"{out}/scales", last], [f"{out}/scale"]),
            helper.make_node("Mul", [f"{out}/float", f"{out}/scale"], [out]),
        ]
        graph.node.remove(node)
        for offset, each in enumerate(made):
            graph.node.insert(place + offset, each)


def _compare(text: TextGraph, small: TextGraph) -> float:
    """The least cosine between what both make of a prompt."""
    feed = {
        name: encode_prompts(document, PROMPTS) for name, document in zip(text.inputs, text.tokenizers, strict=True)
    }
    names = [value.name for value in text.proto.graph.output]
    both = []
    for graph in (text, small):
        session = open_session(graph.proto.SerializeToString(), "the text encoder", Runtime(device="cpu"))
        both.append(run_session(session, names, feed))
    cosines = []
    for first, second in zip(*both, strict=True):
        one, other = (np.asarray(each, np.float64).reshape(len(PROMPTS), -1) for each in (first, second))
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines.append(float(((one * other).sum(1) / np.maximum(norms, 1e-30)).min()))
    return min(cosines)
