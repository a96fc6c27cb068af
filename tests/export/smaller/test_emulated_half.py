"""Half precision where the machine has none."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from dtool.export.sampler.graph_builder import GraphBuilder  # noqa: E402
from dtool.export.smaller.emulated_half import emulate_half  # noqa: E402
from dtool.export.smaller.half import convert_to_half  # noqa: E402
from tests.support.small_exports import PLAIN, load_proto, make_model, overflowing  # noqa: E402


def test_overflow_is_seen_on_a_machine_without_half_precision():
    made, x = convert_to_half(overflowing()), np.array([[0.1, 1, -1, 0.5]], np.float32)
    t = np.zeros(1, np.float32)
    got = load_proto(emulate_half(made), PLAIN).predict(x, t)
    with np.errstate(over="ignore"):
        wanted = x.astype(np.float16) * np.float16(300) * np.float16(300) * np.float16(1e-4)
    assert np.isinf(wanted[0, 1])
    assert np.array_equal(got, wanted.astype(np.float32))
    assert np.isfinite(load_proto(made, PLAIN).predict(x, t)).all()  # the CPU provider hides it: why `rounded` is there


@pytest.mark.parametrize("seed", range(4))
def test_rounded_is_half_precision_bit_for_bit(seed):
    random = np.random.default_rng(seed)
    graph, steps, name = GraphBuilder("chain"), [], "x"
    for _ in range(8):
        op, number = random.choice(["Mul", "Add", "Sub"]), random.uniform(0.5, 1.5, 4)
        name = graph(op, name, graph.constant(number, np.float32))
        steps.append((op, number.astype(np.float32).astype(np.float16)))
    graph("Neg", name, name="output")
    x = random.standard_normal((5, 4)).astype(np.float32)
    wanted = x.astype(np.float16)
    for op, number in steps:
        wanted = {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract}[op](wanted, number)
    got = load_proto(emulate_half(convert_to_half(make_model(graph, PLAIN))), PLAIN).predict(x, np.zeros(5, np.float32))
    assert np.array_equal(got, -wanted.astype(np.float32))
