"""`dtool export --recipe` as a user types it, and what the other commands do with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dtool
from tests.support.commandline import ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.sampler_files import export_sampler


@pytest.mark.usefixtures("host_file")
def test_export_sample_plan_check(folder, capsys):
    done = export_sampler(capsys, "--recipe", "dpmpp-2m/karras", "--steps", 6)
    assert done.out.strip() == "app.onnx"
    assert "the file's defaults" in done.err
    assert ran(capsys, "sample", "app.onnx", "-n", 5, "--seed", 4, "--npz", "own.npz").code == 0
    words = ("--recipe", "dpmpp-2m/karras", "--steps", 6, "-n", 5, "--seed", 4, "--npz", "host.npz")
    assert ran(capsys, "sample", "net.onnx", *words).code == 0
    assert np.abs(np.load("own.npz")["x0"] - np.load("host.npz")["x0"]).max() < 1e-5
    plan = dtool.Plan.from_json(ran(capsys, "plan", "app.onnx", "--json").out)
    assert plan == dtool.load("app.onnx").plan
    assert "6 network calls" in ran(capsys, "plan", "app.onnx").err
    again = ran(capsys, "export", "--check", "app.onnx", "--json")
    assert json.loads(again.out)["largest"] < 1e-4


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("export",), 2, "nothing to export"),
        (("export", "--freeze"), 2, "for a sampler's file"),
        (("export", "net.onnx"), 1, "net.onnx is not a sampler"),
        (("export", "net.onnx", "--recipe", "dpm"), 2, "did you mean"),
        (("export", "net.onnx", "--recipe", "ddim", "--steps", 5000), 2, "5000"),
        (("export", "net.onnx", "--recipe", "ddim", "-o", "net.txt"), 2, ".onnx"),
        (("export", "net.onnx", "--recipe", "ddim", "-o", "no/such/folder.onnx"), 1, "can't be written"),
        (("export", "net.onnx", "--recipe", "ddim", "--threshold", "1.5"), 2, "not a share"),
        (("export", "net.onnx", "--recipe", "ddim", "--threshold", "0.9", "--no-clip"), 2, "clip is off"),
        (("export", "net.onnx", "--recipe", "ddim-inversion"), 2, "from noise"),
        (("export", "net.onnx", "--recipe", "ddpm:sigma=learned"), 2, "variance"),
        (("export", "net.onnx", "--recipe", "dpmpp-3m", "--history", "1"), 2, "remembers 2"),
        (("export", "gone.onnx", "--recipe", "ddim"), 1, "there is no file gone.onnx"),
        (("plan", "net.onnx"), 1, "holds no plan"),
        (("plan", "gone.onnx"), 1, "there is no file gone.onnx"),
    ],
)
@pytest.mark.usefixtures("host_file")
def test_bad_input(folder, capsys, words, code, says):
    before = sorted(p.name for p in folder.iterdir())
    done = ran(capsys, *words)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 2, done.err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_name_with_a_dot_keeps_it():
    from dtool.cli.commands.export import _choose_path

    assert _choose_path(Path("model.v1.pt"), None) == Path("model.v1.onnx")
    assert _choose_path(Path("a/model.v1.pt"), "ddim") == Path("a/model.v1-ddim.onnx")


@pytest.mark.parametrize("kind", ["half", "int8"])
def test_a_smaller_file(kind, tmp_path, monkeypatch, capsys):
    """The package's network: smaller, still a sampler, and its loss is said and kept in the file."""
    monkeypatch.chdir(tmp_path)
    done = ran(capsys, "export", "--recipe", "ddim", "--steps", 4, f"--{kind}", "-o", "small.onnx", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["size"] < 0.6 * 3.0e6
    assert 0 < report["loss"]["rmse"] < 0.1
    assert ran(capsys, "sample", "small.onnx", "-n", 4, "--npz", "small.npz").code == 0
    assert ran(capsys, "sample", "--sampler", "ddim", "--steps", 4, "-n", 4, "--npz", "host.npz").code == 0
    assert 0 < np.abs(np.load("small.npz")["x0"] - np.load("host.npz")["x0"]).mean() < 0.05
    again = ran(capsys, "export", "--check", "small.onnx")
    assert again.code == 0, again.err


def test_a_loss_that_is_too_large_is_refused(tmp_path, monkeypatch, capsys):
    from dtool.export.smaller import replacement

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(replacement, "ALLOWED", 1e-6)
    words = ("export", "--recipe", "ddim", "--steps", 2, "--half", "-o", "small.onnx", "--no-check")
    done = ran(capsys, *words)
    assert done.code == 3
    assert "--allow-loss" in done.err
    assert list(tmp_path.iterdir()) == []
    assert ran(capsys, *words, "--allow-loss").code == 0
    assert ran(capsys, "export", "--recipe", "ddim", "--half", "--int8").code == 2
    assert ran(capsys, "export", "--recipe", "ddim", "--allow-loss").code == 2


@pytest.mark.usefixtures("host_file")
def test_a_sampler_of_an_onnx_file_is_exported_without_pytorch(folder):
    code = (
        "import sys; sys.modules['torch'] = None; from dtool.cli import main;"
        "sys.exit(main(['export', 'net.onnx', '--recipe', 'ddim', '--steps', '3', '-o', 'app.onnx', '-q']))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
    assert (folder / "app.onnx").is_file()
