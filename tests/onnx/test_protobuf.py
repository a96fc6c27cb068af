"""Any bytes are read as onnx's own reader reads them, or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtool.errors import DtoolError
from dtool.onnx.inspection import inspect, refuse_unsafe

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.graphs import choice, function, graph, node, operators  # noqa: E402

NAMES = st.sampled_from(["Add", "Mul", "Loop", "If", "Relu", "RandomNormal", "Dropout", "Magic", ""])

DOMAINS = st.sampled_from(["", "ai.onnx", "com.microsoft", "custom", "ai.onnx.ml"])

NODES = st.deferred(
    lambda: st.builds(
        lambda name, domain, inner: node(
            name, ["a"], ["b"], domain=domain, **{f"g{i}": graph(n) for i, n in enumerate(inner)}
        ),
        NAMES,
        DOMAINS,
        st.lists(st.lists(NODES, max_size=2), max_size=2),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(NODES, max_size=4))
def test_operators_are_found_wherever_they_are(nodes):
    proto = make.of_nodes(nodes)
    found = inspect(proto.SerializeToString(), "net.onnx")
    assert found.operators == operators(proto)
    assert found.loops == any(name == "Loop" for _, name in operators(proto))


DIMS = st.none() | st.lists(st.integers(1, 2**40) | st.sampled_from(["batch", "h"]), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 6, 7, 9, 10, 11, 16]), DIMS), max_size=5), st.integers(0, 4))
def test_inputs_and_outputs_are_read_as_they_are(kinds, defaults):
    values = [helper.make_tensor_value_info(f"v{i}", *kind) for i, kind in enumerate(kinds)]
    weights = [numpy_helper.from_array(np.ones(1, np.float32), f"v{i}") for i in range(defaults)]
    found = inspect(make.model([], values, values, weights).SerializeToString(), "net.onnx")
    want = [(f"v{i}", kind, None if dims is None else tuple(dims)) for i, (kind, dims) in enumerate(kinds)]
    assert [(v.name, v.kind, v.dims) for v in found.outputs] == want
    assert [(v.name, v.kind, v.dims) for v in found.inputs] == want[defaults:]


def read_or_refused(data):
    """Nothing but a DtoolError comes of it, whatever the bytes are."""
    try:
        refuse_unsafe(inspect(data, "the-file"), "the-file")
    except DtoolError as error:
        told = str(error)
    else:
        told = "the-file may be run"
    assert "the-file" in told


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    read_or_refused(data)


WEIGHT = numpy_helper.from_array(np.ones(3, np.float32), "w")

WHOLE = make.of_nodes(
    [choice([node("Relu", ["x"], ["y"])], [WEIGHT]), node("F", ["x"], ["z"])],
    functions=[function("F", [node("Tanh", ["x"], ["y"])])],
).SerializeToString()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(data):
    damaged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    read_or_refused(bytes(damaged))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "it holds no graph"),
        (b"\x3a" + b"\xff" * 9 + b"\x01", "runs past the end"),
        (b"\x3a" + b"\xff" * 10 + b"\x01", "a number of more than 64 bits"),
        (b"\xff" * 40, "a number of more than 64 bits"),
        (b"\x3a\x05\x0a", "runs past the end"),
        (b"\x3b", "wire type 3"),
        (b"\x02\x00", "runs past the end"),
    ],
)
def test_numbers_that_make_no_sense(data, cause):
    with pytest.raises(DtoolError, match="is not an ONNX file") as caught:
        inspect(data, "net.onnx")
    assert cause in str(caught.value)
