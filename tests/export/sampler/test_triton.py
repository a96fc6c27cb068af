"""The configuration for Triton that is written beside a frozen sampler."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.sampler_files import export_sampler

pytestmark = pytest.mark.usefixtures("host_file")


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_another_models_configuration_is_not_overwritten(folder, capsys):
    (folder / "config.pbtxt").write_text("another model's")
    words = ("--recipe", "ddim", "--steps", 3, "--freeze")
    failed(ran(capsys, "export", "net.onnx", "-o", "app.onnx", *words), 2, "config.pbtxt is there", "another folder")
    assert _names(folder) == ["config.pbtxt", "net.onnx"]
    (folder / "config.pbtxt").unlink()
    export_sampler(capsys, *words)
    text = (folder / "config.pbtxt").read_text()
    export_sampler(capsys, *words, "--seed", 3)  # its own is no obstacle
    assert (folder / "config.pbtxt").read_text() == text


def test_a_configuration_that_cannot_be_written_is_found_out_at_once(folder, capsys, monkeypatch):
    (folder / "config.pbtxt").mkdir()
    monkeypatch.setattr("dtool.export.api.resolve_source", None)  # nothing has been read by then
    done = ran(capsys, "export", "net.onnx", "-o", "app.onnx", "--recipe", "ddim", "--freeze")
    failed(done, 1, "config.pbtxt: is a folder")


@pytest.mark.parametrize("fails", ["config.pbtxt", "app.onnx"])
@pytest.mark.parametrize("old", [False, True])
def test_both_files_are_written_or_none(fails, old, folder, capsys, monkeypatch):
    if old:
        export_sampler(capsys, "--recipe", "ddim", "--steps", 3, "--freeze", "--no-check")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    replace = Path.replace

    def broken(self, target):
        if Path(target).name == fails:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    words = ("--recipe", "ddpm", "--steps", 4, "--freeze", "--no-check")
    failed(ran(capsys, "export", "net.onnx", "-o", "app.onnx", *words), 1, f"{fails}: can't be written")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["plain", 'a "quoted" one', "back\\slash", "with {braces}", "modèle-π", "a\tb"])
def test_any_name_can_be_read_back_from_the_configuration(name, folder, capsys):
    from google.protobuf import text_format
    from onnx import NodeProto

    words = ("--recipe", "ddim", "--steps", 2, "--freeze", "--no-check", "-o", f"{name}.onnx")
    assert ran(capsys, "export", "net.onnx", *words).code == 0
    [line] = [n for n in (folder / "config.pbtxt").read_text().splitlines() if n.startswith("name: ")]
    assert text_format.Parse(line, NodeProto()).name == name
