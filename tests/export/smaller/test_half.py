"""Half precision: near, half the size, and what stays in float32."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import helper, numpy_helper  # noqa: E402 - after the check that onnx is there

from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402
from dtool.export.smaller.emulated_half import emulate_half  # noqa: E402
from dtool.export.smaller.half import convert_to_half  # noqa: E402
from tests.support.small_exports import (  # noqa: E402
    FLOAT,
    HALF,
    PLAIN,
    count_weights,
    draw_inputs,
    list_kinds,
    load_proto,
    make_model,
    measure_error,
)


@pytest.mark.parametrize("seed", range(3))
def test_half_precision_is_near(small, seed):
    given = draw_inputs(small.spec, 4, seed)
    assert measure_error(small.network, load_proto(small.half), given) < 3e-3
    assert measure_error(small.network, load_proto(emulate_half(small.half)), given) < 6e-3


def test_half_precision_is_half_the_size(small):
    in_half, in_float = count_weights(small.half, HALF), count_weights(small.half, FLOAT)
    assert in_half + in_float == count_weights(small.proto, FLOAT)
    assert in_float <= 40  # what the sines of the time are of
    arithmetic = {"Conv", "MatMul", "Gemm"} & {node.op_type for node in small.half.graph.node}
    typed = onnx.shape_inference.infer_shapes(small.half, strict_mode=True).graph
    values = {v.name: v.type.tensor_type.elem_type for v in typed.value_info}
    products = [node for node in typed.node if node.op_type in arithmetic]
    inner = [values[node.output[0]] for node in products if node.output[0] in values]
    assert inner.count(HALF) >= len(products) - 1  # all but the one before the sines
    assert "output" in {node.output[0] for node in typed.node if node.op_type == "Cast"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("product", [False, True], ids=["times", "product"])
def test_sines_of_large_fractional_times_lose_no_digits(seed, product):
    graph = GraphBuilder("waves")
    time = graph("Unsqueeze", "t", graph.ints(1))
    wave = graph.constant(np.random.default_rng(seed).uniform(0.5, 2, (1, 6)), np.float32)
    angle = graph("MatMul" if product else "Mul", time, wave)
    graph("Mul", "x", graph("Add", graph("Cos", angle), graph("Sin", angle)), name="output")
    spec = NetworkSpec(shape=(6,), schedule="linear")
    proto = make_model(graph, spec)
    given = draw_inputs(spec, 64, seed, times=(900, 999))
    made = convert_to_half(proto)
    assert measure_error(load_proto(proto, spec), load_proto(emulate_half(made), spec), given) < 1e-3
    x, t = given
    coarse = x, t.astype(np.float16).astype(np.float32)  # what is left of t in fp16
    off = load_proto(proto, spec).predict(*coarse) - load_proto(proto, spec).predict(*given)
    assert np.abs(off).max() > 0.1


def test_weights_beyond_half_precision_are_refused():
    for largest, refused in ((65504.0, False), (65519.0, True), (-7e4, True), (np.nan, True)):
        graph = GraphBuilder("large")
        graph("Mul", "x", graph.constant([1, 2, largest, 3], np.float32), name="output")
        if refused:
            with pytest.raises(DtoolError, match=r"the weights .* reach .*, and half precision ends at 65504"):
                convert_to_half(make_model(graph, PLAIN))
        else:
            assert count_weights(convert_to_half(make_model(graph, PLAIN)), HALF) == 4


def test_graphs_in_nodes_stay_in_float32_and_read_what_they_read():
    graph = GraphBuilder("outer")
    scale = graph.constant([1.5, 2.5, 3.5, 4.5], np.float32)
    scaled = graph("Mul", "x", scale)  # fp16, and read by the branches in float32
    branches = []
    for name, op in (("yes", "Add"), ("no", "Sub")):
        inner = GraphBuilder(name)
        out = inner(op, inner("Mul", scaled, scale), "x")
        branches.append(inner.build([], [make_value_info(out, np.float32, None)]))
    late = graph("Greater", graph("ReduceMax", "t", keepdims=0), graph.constant(500, np.float32))
    chosen = graph("If", late, then_branch=branches[0], else_branch=branches[1])
    graph("Add", graph("Mul", chosen, scale), scaled, name="output")
    proto = make_model(graph, PLAIN)
    made = convert_to_half(proto)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    for time in (0, 999):
        assert (
            measure_error(load_proto(proto, PLAIN), load_proto(made, PLAIN), (x, np.full(3, time, np.float32))) < 2e-3
        )
    assert sorted(list_kinds(made).values()) == [FLOAT, FLOAT, HALF]  # 500, and the scale twice


def test_resized_constants_and_functions():
    spec = NetworkSpec(shape=(1, 4, 4), schedule="linear")
    graph = GraphBuilder("various")
    doubled = graph("Resize", "x", "", graph.constant([1, 1, 2, 2], np.float32), mode="nearest")
    factor = graph("Constant", value=numpy_helper.from_array(np.array(0.3, np.float32)))
    other = graph("Constant", value_float=2.0)
    pooled = graph("AveragePool", graph("Mul", doubled, factor), kernel_shape=[2, 2], strides=[2, 2])
    graph("Square", graph("Mul", pooled, other), name="output", domain="local")
    nodes = [helper.make_node("Mul", ["a", "a"], ["b"])]
    square = helper.make_function("local", "Square", ["a"], ["b"], nodes, [helper.make_opsetid("", 20)])
    proto = make_model(graph, spec, functions=[square])
    made = convert_to_half(proto)
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    got = load_proto(made, spec).predict(x, np.zeros(2, np.float32))
    assert np.allclose(got, (0.6 * x) ** 2, rtol=5e-3, atol=1e-4)
    assert not made.functions


def test_an_output_that_is_read_inside_too():
    graph = GraphBuilder("twice")
    first = graph("Mul", "x", graph.constant([1, 2, 3, 4], np.float32), name="output")
    graph("Add", first, first, name="unused")
    made = convert_to_half(make_model(graph, PLAIN))
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    assert np.allclose(load_proto(made, PLAIN).predict(x, np.zeros(2, np.float32)), x * [1, 2, 3, 4], rtol=2e-3)
