"""Files of older operator sets become what exports are of, with the same numbers; what onnx cannot convert is told."""

import numpy as np
import pytest

from dtool.errors import DtoolError

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402
from onnxruntime import InferenceSession  # noqa: E402

from dtool.export.network.opset import convert_opset, load_at_opset  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT


def make_mean(opset, kind="ReduceMean"):
    """The mean of each row, whose axes became an input with opset 18."""
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], ["y"], axes=[1])], "g",
        [helper.make_tensor_value_info("x", FLOAT, ["b", 3])], [helper.make_tensor_value_info("y", FLOAT, ["b", 1])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_the_same_numbers(tmp_path):
    onnx.save_model(make_mean(17), tmp_path / "old.onnx")
    new = load_at_opset(tmp_path / "old.onnx")
    assert [each.version for each in new.opset_import] == [20]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    [made] = InferenceSession(new.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(made, [[1], [4]])


def test_what_is_new_enough_stays():
    model = make_mean(17)
    assert convert_opset(model, "it", 17) is model


def test_what_cannot_be_converted():
    with pytest.raises(DtoolError, match="it is of opset 17, and onnx cannot convert it to 20") as caught:
        convert_opset(make_mean(17, "NoSuchOperator"), "it")
    assert caught.value.hint == "export it again with opset 20"
