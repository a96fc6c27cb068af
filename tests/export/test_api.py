"""dtool.export: one file, written whole or not at all."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import dtool
from dtool.errors import DtoolError, UsageError

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from dtool.export.network import parity  # noqa: E402


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

    monkeypatch.setattr(parity, "check_parity", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dtool.export(instant, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_that_is_not_a_number_fails(instant, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "measure_difference", lambda *_: float("nan"))
    with pytest.raises(DtoolError, match="nan from PyTorch"):
        dtool.export(instant, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(instant, tmp_path):
    with pytest.raises(DtoolError, match="can't be written"):
        dtool.export(instant, tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(UsageError, match="an export is an ONNX file"):
        dtool.export(instant, tmp_path / "net.pb")
    assert list(tmp_path.iterdir()) == []


def test_without_the_check(instant, tmp_path):
    report = dtool.export(instant, tmp_path / "net.onnx", check=False)
    assert (report.comparisons, report.largest) == ((), None)
    assert str(report).splitlines()[-1] == "not compared with PyTorch"
    assert dtool.load(report.path).spec == instant[1]


def test_looking_at_dtool_export_imports_nothing_heavy():
    code = "import dtool, sys; dtool.export; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_one_file_and_nothing_else(exported):
    left = {path.name for path in exported.report.path.parent.iterdir()} - {"model.pt"}
    assert left == {"net.onnx"}
    assert exported.report.size == exported.report.path.stat().st_size


def test_inputs_and_output(exported):
    session, spec = exported.session(), exported.spec
    inputs = {node.name: (node.type, node.shape) for node in session.get_inputs()}
    expected = {"x": ("tensor(float)", ["batch", *spec.shape]), "t": ("tensor(float)", ["batch"])}
    assert inputs == expected | ({"label": ("tensor(int64)", ["batch"])} if spec.classes else {})
    (output,) = session.get_outputs()
    assert (output.type, output.shape) == ("tensor(float)", ["batch", *spec.shape])
    proto = onnx.load(exported.report.path)
    assert proto.ir_version == 10
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 20)]
