"""A network and its text encoder, called together."""

from __future__ import annotations

import numpy as np
import pytest

import dtool

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper  # noqa: E402

from dtool.export.sampler.graph_builder import make_value_info  # noqa: E402
from dtool.export.sampler.token_network import TokenNetwork  # noqa: E402


def test_the_network_is_told_what_the_encoder_makes():
    graph = helper.make_graph(
        [helper.make_node("Cast", ["input_ids"], ["text"], to=onnx.TensorProto.FLOAT)],
        "text",
        [make_value_info("input_ids", np.int64, ["batch", 2])],
        [make_value_info("text", np.float32, ["batch", 2])],
    )
    text = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    conditions = [{"name": "text", "shape": (2,)}]
    inner = dtool.network(lambda x, t, text: x + text, shape=(2,), conditions=conditions)
    spec = inner.spec.model_validate(
        inner.spec.model_dump() | {"conditions": [{"name": "input_ids", "shape": (2,), "dtype": "int64"}]}
    )
    network = TokenNetwork(inner, text, spec)
    x, ids = np.zeros((3, 2), np.float32), np.arange(6).reshape(3, 2)
    assert np.array_equal(network.predict(x, np.zeros(3), {"input_ids": ids}), ids)
