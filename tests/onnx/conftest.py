"""ONNX files that several files of this room open."""

import json

import pytest

import dtool


@pytest.fixture
def described_file(tmp_path, monkeypatch):
    """A network in the working folder that says what it is."""
    onnx = pytest.importorskip("onnx")
    from tests.support import foreign as make

    monkeypatch.chdir(tmp_path)
    proto = make.network(t=("t", make.FLOAT, ["batch"]))
    spec = dtool.NetworkSpec(shape=(1, 4, 4), schedule="linear")
    onnx.helper.set_model_props(proto, {"dtool": json.dumps({"spec": json.loads(spec.model_dump_json())})})
    make.saved(proto, tmp_path, "net.onnx")
    return "net.onnx"
