"""Networks of one hidden layer as ONNX files, with random weights: any shape, prediction and number of classes."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from dtool.export.metadata import describe
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info
from dtool.models.spec import NetworkSpec
from dtool.run.load import load

HIDDEN = 16
SHAPE = (1, 24, 24)  # of `write_plain`


def write(path: Path, *, seed: int = 0, opset: int = 20, waves: bool = False, **fields: Any) -> NetworkSpec:
    """Write a network of this spec (`shape` at least) and return the spec.

    waves: sines of t too. The batch is a dimension of the matrix products: where bits depend on it, they do here.
    """
    spec = NetworkSpec(**{"schedule": "linear", **fields})
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> str:
        return graph.constant(rng.standard_normal(shape) / np.sqrt(shape[0]), np.float32)

    graph = GraphBuilder("small")
    flat = graph("Reshape", "x", graph.ints(0, prod(spec.shape)))
    time = graph("Unsqueeze", graph("Mul", "t", graph.constant(1e-3, np.float32)), graph.ints(1))
    terms = [graph("MatMul", flat, weight(prod(spec.shape), HIDDEN)), graph("Mul", time, weight(1, HIDDEN))]
    if waves:
        terms.append(
            graph("Mul", graph("Sin", graph("Mul", time, graph.constant(37.3, np.float32))), weight(1, HIDDEN))
        )
    if spec.classes:
        terms.append(graph("Gather", weight(spec.classes + 1, HIDDEN), "label", axis=0))
    hidden = graph("Tanh", graph.total(*terms))
    out = graph("MatMul", hidden, weight(HIDDEN, prod(spec.output_shape)))
    graph("Reshape", out, graph.ints(0, *spec.output_shape), name="output")
    inputs = [make_value_info("x", np.float32, ["batch", *spec.shape]), make_value_info("t", np.float32, ["batch"])]
    inputs += [make_value_info("label", np.int64, ["batch"])] * bool(spec.classes)
    made = graph.build(inputs, [make_value_info("output", np.float32, ["batch", *spec.output_shape])])
    model: onnx.ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    describe(model, spec)
    path.write_bytes(model.SerializeToString())
    return spec


def write_plain(path: Path, leak: float = 0.0, only_one: bool = False, classes: int = 0) -> Any:
    """A network without sums over pixels, whose bits cannot depend on its batch, but for `leak` times its size."""
    spec = NetworkSpec(shape=SHAPE, schedule="linear", classes=classes)
    graph = GraphBuilder("plain")
    scale = graph.constant(np.random.default_rng(3).standard_normal(SHAPE), np.float32)
    batch = graph.cast(graph("Shape", "x", start=0, end=1), np.float32)
    terms = [graph("Mul", "x", scale), graph("Mul", batch, graph.constant(leak, np.float32))]
    if classes:
        known = graph.constant(np.linspace(0, 1, classes + 1), np.float32)
        terms.append(graph("Reshape", graph("Gather", known, "label", axis=0), graph.ints(-1, 1, 1, 1)))
    made = graph.total(*terms)
    graph("Reshape", made, graph.ints(1 if only_one else 0, *SHAPE), name="output")
    inputs = [make_value_info("x", np.float32, ["batch", *SHAPE]), make_value_info("t", np.float32, ["batch"])]
    inputs += [make_value_info("label", np.int64, ["batch"])] * bool(classes)
    outputs = [make_value_info("output", np.float32, ["batch", *SHAPE])]
    model = helper.make_model(graph.build(inputs, outputs), opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    describe(model, spec)
    path.write_bytes(model.SerializeToString())
    return load(path, device="cpu")
