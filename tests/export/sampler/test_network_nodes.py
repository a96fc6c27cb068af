"""A network's nodes in another graph, and out of it again."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from dtool.export.sampler.graph_builder import GraphBuilder  # noqa: E402
from dtool.export.sampler.network_nodes import extract_network, insert_network, list_inputs  # noqa: E402
from tests.support.small_networks import write  # noqa: E402


def test_what_is_inserted_is_found_again(tmp_path):
    spec = write(tmp_path / "net.onnx", shape=(2, 3), classes=4)
    model = onnx.load(tmp_path / "net.onnx")
    assert list_inputs(spec) == ["x", "t", "label"]
    graph = GraphBuilder("around")
    scaled = graph("Mul", "y", graph.constant(2, np.float32))
    sources = [("Identity", scaled), ("Slice", "times", graph.ints(0), "count", graph.ints(0)), ("Identity", "classes")]
    output = insert_network(graph, model.graph, "inner/", spec, sources)
    graph("Neg", output, name="result")
    found = extract_network(graph.build([], []), "around", "inner/", model, spec)
    onnx.checker.check_model(found, full_check=True)
    (tmp_path / "again.onnx").write_bytes(found.SerializeToString())
    x, t, label = np.ones((2, 2, 3), np.float32), np.full(2, 9, np.float32), np.array([0, 4])
    one, other = (dtool.load(tmp_path / name).predict(x, t, label) for name in ("net.onnx", "again.onnx"))
    assert np.array_equal(one, other)


def test_other_inputs_than_the_spec_s_are_refused(tmp_path):
    spec = write(tmp_path / "net.onnx", shape=(2, 3), classes=4)
    graph = onnx.load(tmp_path / "net.onnx").graph
    with pytest.raises(DtoolError, match="the network has the inputs x, t, label and the outputs output"):
        insert_network(GraphBuilder("g"), graph, "inner/", spec.model_copy(update={"classes": 0}), [])
