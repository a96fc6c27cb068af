"""Reading ONNX files without trusting them: what onnx's own reader finds, and a clean refusal for the rest."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtool
from dtool.backends.onnx_file import inspect, refuse
from dtool.errors import DtoolError

onnx = pytest.importorskip("onnx")
import foreign as make  # noqa: E402 - after the check that onnx is there
from foreign import FLOAT  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

node = helper.make_node
SPEC = dtool.NetworkSpec(shape=(1, 4, 4), schedule="linear")


def examined(proto):
    """What is found in a model that may be run."""
    found = inspect(proto.SerializeToString(), "net.onnx")
    refuse(found, "net.onnx")
    return found


def refusal(proto):
    with pytest.raises(DtoolError) as caught:
        examined(proto)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def graph(nodes, name="branch", weights=()):
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("y", FLOAT, None)], weights)


def choice(inner, weights=()):
    """An If with these nodes in both branches."""
    made = graph(inner, weights=weights)
    return node("If", ["go"], ["y"], then_branch=made, else_branch=made)


def function(name, nodes, domain="local"):
    return helper.make_function(domain, name, ["x"], ["y"], nodes, [helper.make_opsetid("", 20)])


# ---------------------------------------------------------------- the same as onnx's own reader


def operators(proto):
    """(domain, name) of all nodes, by onnx."""

    def of(nodes):
        for one in nodes:
            yield one.domain, one.op_type
            for attribute in one.attribute:
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    yield from of(inner.node)

    return set(of(proto.graph.node))


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


def test_the_network_of_the_package():
    data = (files("dtool.networks") / "digits.onnx").read_bytes()
    proto = onnx.ModelProto.FromString(data)
    found = inspect(data, "digits.onnx")
    refuse(found, "digits.onnx")
    assert found.operators == operators(proto)
    assert found.metadata == {p.key: p.value for p in proto.metadata_props}
    assert [v.name for v in found.inputs] == ["x", "t", "label"]
    assert found.calls[None].total() == len(proto.graph.node)
    assert not found.loops


# ---------------------------------------------------------------- anything at all


def read_or_refused(data):
    """Nothing but a DtoolError comes of it, whatever the bytes are."""
    try:
        refuse(inspect(data, "the-file"), "the-file")
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


def number(value):
    """A number in protobuf's spelling."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(field, content):
    return number(field << 3 | 2) + number(len(content)) + content


def nested(depth):
    """A model of graphs inside graphs, which no protobuf library would write."""
    inner = message(1, message(4, b"Relu"))
    for _ in range(depth):
        inner = message(1, message(4, b"If") + message(5, message(6, inner)))
    return message(7, inner)


def test_graphs_inside_graphs():
    found = inspect(nested(20), "net.onnx")
    refuse(found, "net.onnx")
    assert (found.depth, found.operators) == (20, {("", "If"), ("", "Relu")})
    for depth in (33, 3000):
        with pytest.raises(DtoolError, match="nests more than 32 graphs"):
            refuse(inspect(nested(depth), "net.onnx"), "net.onnx")


def chain(length, calls=1, last="Relu"):
    """Functions that call one another in a row, each so many times."""
    made = [function("f0", [node(last, ["x"], ["y"])])]
    made += [
        function(f"f{i}", [node(f"f{i - 1}", ["x"], ["y"], domain="local") for _ in range(calls)])
        for i in range(1, length)
    ]
    return make.of_nodes([node(f"f{length - 1}", ["x"], ["y"], domain="local")], functions=made)


def test_functions_that_call_functions():
    assert examined(chain(60)).operators == {("", "Relu")}
    assert "nests more than 64 functions" in refusal(chain(3000))
    assert "more than 1,000,000 nodes, its functions written out" in refusal(chain(40, calls=2))
    assert "more than 1,000,000 nodes" in refusal(chain(60, calls=300))
    examined(chain(15, calls=2))


def test_functions_without_end():
    itself = function("f", [node("f", ["x"], ["y"], domain="local")])
    each = [function(a, [node(b, ["x"], ["y"], domain="local")]) for a, b in ("gh", "hg")]
    for functions in ([itself], each, [itself, *each]):
        unused = make.of_nodes([node("Relu", ["x"], ["y"])], functions=functions)
        assert "nests more than 64 functions" in refusal(unused)
    everyone = [function(f"f{i}", [node(f"f{j}", ["x"], ["y"], domain="local") for j in range(40)]) for i in range(40)]
    assert "nests more than 64 functions" in refusal(make.of_nodes([], functions=everyone))


# ---------------------------------------------------------------- what must not be run


def test_functions_of_the_file_are_no_foreign_operators():
    pytest.importorskip("onnxruntime")
    proto = make.of_nodes(
        [node("Half", ["x"], ["y"], domain="local")],
        functions=[function("Half", [node("Constant", [], ["c"], value_float=0.5), node("Mul", ["x", "c"], ["y"])])],
    )
    assert examined(proto).operators == {("", "Constant"), ("", "Mul")}
    assert "uses operators of local" in refusal(make.of_nodes([node("Half", ["x"], ["y"], domain="local")]))
    random = function("RandomNormalLike", [node("Relu", ["x"], ["y"])], domain="")
    assert "RandomNormalLike" in refusal(make.of_nodes([node("RandomNormalLike", ["x"], ["y"])], functions=[random]))


@pytest.mark.parametrize("name", ["RandomUniform", "Bernoulli", "Multinomial", "RandomNormalLike"])
def test_noise_is_found_inside_functions_and_branches(name):
    assert name in refusal(chain(5, last=name))
    assert name in refusal(make.of_nodes([choice([node(name, ["x"], ["y"])])]))
    inside = function("f", [choice([choice([node(name, ["x"], ["y"])])])])
    assert name in refusal(make.of_nodes([node("f", ["x"], ["y"], domain="local")], functions=[inside]))


def test_dropout_is_noise_when_it_drops():
    yes, no = (numpy_helper.from_array(np.array(v), "training") for v in (True, False))
    drop = node("Dropout", ["x", "", "training"], ["y"])
    constants = [node("Constant", [], ["training"], value=value) for value in (yes, no)]
    assert "random numbers of its own (Dropout)" in refusal(make.of_nodes([drop], [yes]))
    assert "Dropout" in refusal(make.of_nodes([constants[0], drop]))
    assert "Dropout" in refusal(make.of_nodes([node("Not", ["no"], ["training"]), drop]))
    for harmless in (
        [drop],
        [constants[1], drop],
        [node("Dropout", ["x"], ["y"])],
        [node("Dropout", ["x", "r"], ["y"])],
    ):
        examined(make.of_nodes(harmless, [no] if harmless == [drop] else []))


def outside(name="w"):
    """A tensor whose data are in another file."""
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, location="/etc/passwd")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    return tensor


def test_data_elsewhere_are_found_wherever_they_are():
    sparse = helper.make_sparse_tensor(outside(), numpy_helper.from_array(np.arange(4)), [10])
    in_graph = make.of_nodes([node("Relu", ["x"], ["y"])])
    in_graph.graph.sparse_initializer.append(sparse)
    constant = node("Constant", [], ["c"], value=outside())
    for proto in (
        make.of_nodes([node("Add", ["x", "w"], ["y"])], [outside()]),
        make.of_nodes([constant]),
        make.of_nodes([choice([node("Add", ["x", "w"], ["y"])], [outside()])]),
        make.of_nodes([node("f", ["x"], ["y"], domain="local")], functions=[function("f", [constant])]),
        make.of_nodes([node("Constant", [], ["c"], sparse_value=sparse)]),
        in_graph,
    ):
        assert "keeps weights in other files (e.g. of 'w')" in refusal(proto)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(dtype, bad):
    weights = np.array([0.5, bad, 2], dtype)
    assert "weights 'w' hold NaN or infinity" in refusal(make.of_nodes([], [numpy_helper.from_array(weights, "w")]))
    if dtype != np.float16:
        kind = helper.np_dtype_to_tensor_dtype(weights.dtype)
        typed = helper.make_tensor("w", kind, [3], weights.tolist())
        assert "weights 'w' hold NaN" in refusal(make.of_nodes([choice([], [typed])]))


def test_a_mask_of_minus_infinity_is_none_of_them():
    for mask in ([-np.inf], [0, -np.inf, 0]):
        values = np.array(mask, np.float32)
        examined(
            make.of_nodes([], [numpy_helper.from_array(values, "mask"), numpy_helper.from_array(values[:0], "none")])
        )


def test_metadata_nested_without_end_are_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    proto = make.network()
    for text in ("[" * 100_000, '{"spec": ' + "[" * 100_000, '{"spec": 1' + "0" * 5000 + "}"):
        helper.set_model_props(proto, {"dtool": text})
        with pytest.raises(DtoolError):
            dtool.load(make.saved(proto, tmp_path))


@pytest.mark.parametrize("operator", ["EPContext", "PythonOp"])
def test_what_another_program_compiled_or_runs_is_refused(operator, tmp_path):
    pytest.importorskip("onnxruntime")
    node = helper.make_node(operator, ["x", "t"], ["y"], domain="com.microsoft")
    proto = make.of_nodes([node])
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(DtoolError, match=f"compiled, or calls one \\({operator}\\)"):
        dtool.load(make.saved(proto, tmp_path), spec={"schedule": "linear", "prediction": "eps"})


@pytest.mark.parametrize("shape", [(0,), (-1, 4), (1, 4, 0), (2**30, 2**30)])
def test_a_shape_that_cannot_be(shape, tmp_path):
    pytest.importorskip("onnxruntime")
    proto = make.network(("x", FLOAT, ["b", *["n"] * len(shape)]), ("t", FLOAT, ["b"]))
    document = {"format": 1, "spec": json.loads(SPEC.model_dump_json()) | {"shape": shape}}
    helper.set_model_props(proto, {"dtool": json.dumps(document)})
    with pytest.raises(DtoolError, match=r"description of the network is not valid \(.*(shape|too large)"):
        dtool.load(make.saved(proto, tmp_path))
