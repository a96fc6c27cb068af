"""What is found in the graphs inside graphs, and in the functions, of an ONNX file."""

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.onnx.inspection import inspect, refuse_unsafe

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.graphs import choice, examined, function, node, refusal  # noqa: E402


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
    refuse_unsafe(found, "net.onnx")
    assert (found.depth, found.operators) == (20, {("", "If"), ("", "Relu")})
    for depth in (33, 3000):
        with pytest.raises(DtoolError, match="nests more than 32 graphs"):
            refuse_unsafe(inspect(nested(depth), "net.onnx"), "net.onnx")


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
