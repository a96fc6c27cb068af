"""Export writes a whole file or none, and takes whatever holds a PyTorch network."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from graphs import proto  # noqa: E402 - after the check that onnx is there
from torch import nn  # noqa: E402

from dtool.export import graph, parity  # noqa: E402


class Tanh(nn.Module):
    def forward(self, x, _t):
        return x.tanh()


@pytest.fixture
def instant(monkeypatch):
    """A network whose graph is there already, for what happens after the exporter."""
    one = onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, ["batch"])
    made = proto(onnx.helper.make_node("Tanh", ["x"], ["y"]))
    made.graph.input.append(one)
    monkeypatch.setattr(graph, "to_onnx", lambda *_: onnx.ModelProto.FromString(made.SerializeToString()))
    return Tanh(), NetworkSpec(shape=(3,), schedule="linear")


def test_a_full_disk_leaves_the_old_file(instant, tmp_path, monkeypatch):
    target = tmp_path / "net.onnx"
    target.write_bytes(b"the old file")

    def full(self, _):
        self.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DtoolError, match="No space left on device") as caught:
        dtool.export(instant, target)
    assert "free some space" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert target.read_bytes() == b"the old file"


def test_an_interruption_leaves_nothing(instant, tmp_path, monkeypatch):
    def interrupted(path, *_):
        assert path.stat().st_size > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(parity, "compared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dtool.export(instant, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_that_is_not_a_number_fails(instant, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "_largest", lambda *_: float("nan"))
    with pytest.raises(DtoolError, match="nan from PyTorch"):
        dtool.export(instant, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(instant, tmp_path):
    with pytest.raises(DtoolError, match="can't be written"):
        dtool.export(instant, tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(UsageError, match="an export is an ONNX file"):
        dtool.export(instant, tmp_path / "net.pb")
    assert list(tmp_path.iterdir()) == []


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


def test_without_the_check(instant, tmp_path):
    report = dtool.export(instant, tmp_path / "net.onnx", check=False)
    assert (report.comparisons, report.largest) == ((), None)
    assert str(report).splitlines()[-1] == "not compared with PyTorch"
    assert dtool.load(report.path).spec == instant[1]


def test_a_missing_package_is_named(instant, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(DtoolError, match="onnxscript is needed") as caught:
        dtool.export(instant, tmp_path / "net.onnx")
    assert caught.value.hint == "pip install 'dtool-diffusion[export]'"


def test_looking_at_dtool_export_imports_nothing_heavy():
    code = "import dtool, sys; dtool.export; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
