"""Reading ONNX files without trusting them: what onnx's own reader finds, and a clean refusal for the rest."""

import json
from importlib.resources import files

import pytest

import dtool
from dtool.errors import DtoolError
from dtool.onnx.inspection import inspect, refuse_unsafe

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import FLOAT  # noqa: E402
from tests.support.graphs import operators  # noqa: E402

SPEC = dtool.NetworkSpec(shape=(1, 4, 4), schedule="linear")


def test_the_network_of_the_package():
    data = (files("dtool.models") / "digits.onnx").read_bytes()
    proto = onnx.ModelProto.FromString(data)
    found = inspect(data, "digits.onnx")
    refuse_unsafe(found, "digits.onnx")
    assert found.operators == operators(proto)
    assert found.metadata == {p.key: p.value for p in proto.metadata_props}
    assert [v.name for v in found.inputs] == ["x", "t", "label"]
    assert found.calls[None].total() == len(proto.graph.node)
    assert not found.loops


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
