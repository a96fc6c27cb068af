"""ONNX networks as other people export them, made by hand: any names, types and ranks; and one that never ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import dtool

FLOAT, HALF, DOUBLE, INT64, INT32 = (getattr(TensorProto, n) for n in ("FLOAT", "FLOAT16", "DOUBLE", "INT64", "INT32"))
SLOPE, PER_STEP, PER_CLASS = 0.5, 1e-3, 0.1


def answer(x: Any, t: Any, label: Any = None) -> Any:
    """What the networks of this file compute."""
    column = (len(x), *[1] * (x.ndim - 1))
    out = SLOPE * x + PER_STEP * t.reshape(column)
    return out if label is None else out + PER_CLASS * label.reshape(column)


def network(
    x: tuple[str, int, list[Any]] = ("sample", FLOAT, ["batch", 1, 4, 4]),
    t: tuple[str, int, list[Any]] = ("timestep", INT64, []),
    label: tuple[str, int, list[Any]] | None = None,
    *,
    order: tuple[int, ...] = (0, 1, 2),
    doubled: bool = False,
) -> onnx.ModelProto:
    """SLOPE·x + PER_STEP·t [+ PER_CLASS·label], each input a (name, type, dims), in this order in the file."""
    rank = len(x[2])
    weights = [
        numpy_helper.from_array(np.array(v, helper.tensor_dtype_to_np_dtype(x[1])), n)
        for n, v in (("slope", SLOPE), ("per_step", PER_STEP), ("per_class", PER_CLASS))
    ]
    weights.append(numpy_helper.from_array(np.array([-1] + [1] * (rank - 1)), "column"))
    nodes = [helper.make_node("Mul", [x[0], "slope"], ["total0"])]
    for i, (value, weight) in enumerate(((t, "per_step"), (label, "per_class"))):
        if value is not None:
            nodes += [
                helper.make_node("Cast", [value[0]], [f"f{i}"], to=x[1]),
                helper.make_node("Reshape", [f"f{i}", "column"], [f"c{i}"]),
                helper.make_node("Mul", [f"c{i}", weight], [f"w{i}"]),
                helper.make_node("Add", [f"total{i}", f"w{i}"], [f"total{i + 1}"]),
            ]
    last = nodes[-1].output[0]
    dims = list(x[2])
    if doubled:
        dims[1] *= 2
        nodes.append(helper.make_node("Concat", [last, last], ["out_sample"], axis=1))
    else:
        nodes.append(helper.make_node("Identity", [last], ["out_sample"]))
    inputs = [helper.make_tensor_value_info(*v) for v in (x, t, label) if v is not None]
    out = helper.make_tensor_value_info("out_sample", x[1], dims)
    return model(nodes, [inputs[i] for i in order if i < len(inputs)], [out], weights)


def model(nodes: Any, inputs: Any, outputs: Any, weights: Any = (), functions: Any = ()) -> onnx.ModelProto:
    """A model at opset 20, IR 10; `functions` may live in the domain "local"."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=list(functions))


def of_nodes(nodes: Any, weights: Any = (), functions: Any = ()) -> onnx.ModelProto:
    """A model from x `(batch, 1, 4, 4)` and t `(batch,)` to y, made of these nodes."""
    shape = ["batch", 1, 4, 4]
    inputs = [helper.make_tensor_value_info("x", FLOAT, shape), helper.make_tensor_value_info("t", FLOAT, ["batch"])]
    return model(nodes, inputs, [helper.make_tensor_value_info("y", FLOAT, shape)], weights, functions)


def endless() -> onnx.ModelProto:
    """A network whose Loop never ends."""
    return looped(None)


def looped(count: int | None) -> onnx.ModelProto:
    """A network with a Loop of so many rounds, None for one that never ends; its output is its input."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", INT64, []), value("go", TensorProto.BOOL, []), value("v", FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("w", FLOAT, None)],
    )
    constants = [numpy_helper.from_array(np.array(True), "yes")]
    if count is not None:
        constants.append(numpy_helper.from_array(np.array(count, np.int64), "count"))
    loop = helper.make_node("Loop", ["" if count is None else "count", "yes", "x"], ["y"], body=body)
    return of_nodes([loop], constants)


def saved(proto: onnx.ModelProto, folder: Path, name: str = "foreign.onnx") -> Path:
    """The file."""
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


SAID = {"schedule": "linear", "prediction": "eps"}

SHAPE = (1, 4, 4)


def twin(shape=SHAPE, **more):
    """The same function in numpy."""
    return dtool.network(answer, shape=shape, **more)
