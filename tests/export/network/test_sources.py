"""What can be exported: what a user names, and what it turns out to be."""

from __future__ import annotations

import sys

import pytest

import dtool
from dtool.errors import DtoolError, UsageError

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from tests.support.exported_networks import Tanh  # noqa: E402


@pytest.mark.parametrize(
    ("net", "cause"),
    [
        ("model.onnx", "is an ONNX file already"),
        (Tanh(), "a module alone does not say what it was trained for"),
        (dtool.network(lambda x, _: x, shape=(2,)), "a FunctionNetwork cannot be exported"),
        ((Tanh(), "linear"), "a tuple cannot be exported"),
    ],
    ids=["onnx", "module", "function", "tuple"],
)
def test_what_is_no_network(net, cause, tmp_path):
    with pytest.raises(UsageError) as caught:
        dtool.export(net, tmp_path / "net.onnx")
    assert cause in str(caught.value)
    with pytest.raises(UsageError, match="at least one step"):
        dtool.export(net, tmp_path / "net.onnx", steps=0)


def test_a_loaded_network_is_exported_from_its_module(instant, tmp_path):
    network = dtool.load(instant[0], spec=instant[1], device="cpu")
    report = dtool.export(network, tmp_path / "net.onnx", steps=2)
    assert dtool.load(report.path).spec == network.spec


def test_a_factory_is_called(instant, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "make", lambda: instant, raising=False)
    report = dtool.export(f"{__name__}:make", tmp_path / "net.onnx", check=False)
    assert dtool.load(report.path).spec == instant[1]


def test_a_missing_package_is_named(instant, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(DtoolError, match="onnxscript is needed") as caught:
        dtool.export(instant, tmp_path / "net.onnx")
    assert caught.value.hint == "pip install 'dtool-diffusion[export]'"
