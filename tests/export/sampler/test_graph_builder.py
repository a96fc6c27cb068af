"""Graphs written by hand: what is computed, and that names and constants are told apart."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import helper  # noqa: E402

from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402


def run(graph, outputs, **feed):
    """What a graph of float32 vectors of any length gives."""
    inputs = [make_value_info(name, value.dtype, ["n"]) for name, value in feed.items()]
    made = graph.build(inputs, [make_value_info(name, np.float32, ["m"]) for name in outputs])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString()).run(list(outputs), feed)


def test_equal_constants_are_one_and_others_are_not():
    graph = GraphBuilder("g")
    names = [graph.constant(value, kind) for value, kind in ((1, np.float32), (1.0, np.float32), (1, np.int64))]
    assert names[0] == names[1] != names[2]
    assert graph.constant([1], np.float32) not in names, "a vector is no scalar"
    assert graph.constant(-0.0, np.float32) != graph.constant(0.0, np.float32)
    assert graph.ints(1) != graph.ints(1, 1) != names[2]
    assert len(graph.initializers) == len({tensor.name for tensor in graph.initializers}) == 7


def test_a_sum_is_taken_from_the_left():
    graph = GraphBuilder("g")
    graph("Identity", graph.total("a", "b", "c"), name="sum")
    large, small = np.float32([1e8]), np.float32([1])
    assert run(graph, ["sum"], a=large, b=-large, c=small)[0] == [1]
    other = GraphBuilder("g")
    other("Identity", other.total("a", "b", "c"), name="sum")
    assert run(other, ["sum"], a=small, b=large, c=-large)[0] == [0], "1 is lost in 1e8 first"


def test_nodes_with_several_outputs_and_casts():
    graph = GraphBuilder("g")
    first, second = graph.add_node("Split", "x", outputs=2, axis=0, num_outputs=2)
    graph("Identity", graph("Sub", first, second), name="difference")
    graph("Identity", graph.cast(graph.cast("x", np.int64), np.float32), name="whole")
    difference, whole = run(graph, ["difference", "whole"], x=np.float32([5.7, 7.2, 1.1, 0.4]))
    assert difference == pytest.approx([4.6, 6.8], rel=1e-6)
    assert whole.tolist() == [5, 7, 1, 0]


def test_names_begin_with_the_graphs_own_so_that_graphs_can_be_nested():
    outer, inner = GraphBuilder("outer"), GraphBuilder("inner")
    names = [name for graph in (outer, inner) for name in (graph("Neg", "x"), graph("Neg", "x"), graph.ints(3))]
    assert len(set(names)) == 6
    assert [name.partition("/")[0] for name in names] == ["outer"] * 3 + ["inner"] * 3
