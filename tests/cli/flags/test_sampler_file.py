"""How a sampler is put into its file, as it is typed."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.run.sampler_form import read_plan
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.small_networks import write


def test_inputs_without_defaults_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.onnx", shape=(1, 4, 4), classes=2, clip=True)
    words = ("--recipe", "dpmpp-2m", "--steps", 4, "--inputs", "seed, plan", "-o", "app.onnx")
    done = ran(capsys, "export", "net.onnx", *words)
    assert done.code == 0, done.err
    assert "its own values given" in done.err
    assert not (tmp_path / "config.pbtxt").exists(), "Triton makes batches of frozen files alone"
    assert ran(capsys, "export", "--check", "app.onnx", "--json").code == 0
    assert dtool.Plan.from_json(ran(capsys, "plan", "app.onnx", "--json").out) == read_plan(tmp_path / "app.onnx")
    for name in ("net", "app"):
        words = ("--sampler", "ddim", "--steps", 3, "--seed", 8, "--npz", f"{name}.npz")
        assert ran(capsys, "sample", f"{name}.onnx", *words).code == 0
    assert np.abs(np.load("net.npz")["x0"] - np.load("app.npz")["x0"]).max() < 1e-5
    failed(ran(capsys, "export", "net.onnx", "--recipe", "ddim", "--inputs", "sed"), 2, "'sed'", "did you mean seed?")
    failed(ran(capsys, "export", "net.onnx", "--inputs", "seed"), 2, "--inputs is for a sampler's file")
