"""`dtool export` as a user types it."""

from __future__ import annotations

import pytest

from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_export_refuses_what_is_no_checkpoint(capsys, tmp_path):
    failed(ran(capsys, "export", "model.txt"), 2, "model.txt: not a checkpoint", ".safetensors")
    failed(ran(capsys, "export", "model.onnx"), 1, "no file model.onnx")
    failed(ran(capsys, "export", "model.pt", "-o", "model.txt"), 2, "an export is an ONNX file", ".onnx")
    failed(ran(capsys, "export", "missing.pt"), 1, "missing.pt")
    assert list(tmp_path.iterdir()) == []
