"""Networks of one hidden layer as ONNX files, with random weights: any shape, prediction and number of classes."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from dtool.export.builder import Graph, value
from dtool.export.metadata import describe
from dtool.networks.spec import NetworkSpec

HIDDEN = 16


def write(path: Path, *, seed: int = 0, opset: int = 20, waves: bool = False, **fields: Any) -> NetworkSpec:
    """Write a network of this spec (`shape` at least) and return the spec.

    waves: sines of t too. The batch is a dimension of the matrix products: where bits depend on it, they do here.
    """
    spec = NetworkSpec(**{"schedule": "linear", **fields})
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> str:
        return graph.constant(rng.standard_normal(shape) / np.sqrt(shape[0]), np.float32)

    graph = Graph("small")
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
    inputs = [value("x", np.float32, ["batch", *spec.shape]), value("t", np.float32, ["batch"])]
    inputs += [value("label", np.int64, ["batch"])] * bool(spec.classes)
    made = graph.made(inputs, [value("output", np.float32, ["batch", *spec.output_shape])])
    model: onnx.ModelProto = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    describe(model, spec)
    path.write_bytes(model.SerializeToString())
    return spec
