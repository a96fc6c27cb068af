"""`dtool export --recipe`, and what the other commands do with the file, as a user types it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.plugins.registry import registry
from tests.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from tests.small_networks import write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.onnx", shape=(1, 6, 5), classes=3, guidance=1.5, clip=True)
    return tmp_path


def exported(capsys, *words):
    done = ran(capsys, "export", "net.onnx", "-o", "app.onnx", *words)
    assert done.code == 0, done.err
    return done


def test_export_sample_plan_check(folder, capsys):
    done = exported(capsys, "--recipe", "dpmpp-2m/karras", "--steps", 6)
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


@pytest.mark.parametrize("words", [("--sampler", "ddim", "--steps", 8), ("--steps", 3), ("--scheduler", "cosine")])
def test_another_plan_in_the_files_place(folder, capsys, words):
    exported(capsys, "--recipe", "ddpm:sigma=beta", "--steps", 4)
    assert ran(capsys, "sample", "app.onnx", *words, "--npz", "own.npz", "--trace", "-o", "own.png").code == 0
    recipe = () if "--sampler" in words else ("--sampler", "ddpm", "--sigma", "beta")
    steps = () if "--steps" in words else ("--steps", 4)
    assert ran(capsys, "sample", "net.onnx", *recipe, *steps, *words, "--npz", "host.npz").code == 0
    assert np.abs(np.load("own.npz")["x0"] - np.load("host.npz")["x0"]).max() < 1e-5


def test_the_files_own_options_are_flags(folder, capsys):
    exported(capsys, "--recipe", "ddpm:sigma=beta", "--steps", 4)
    assert ran(capsys, "sample", "app.onnx", "--sigma", "none", "--npz", "none.npz").code == 0
    assert ran(capsys, "sample", "app.onnx", "--npz", "beta.npz").code == 0
    assert np.abs(np.load("none.npz")["x0"] - np.load("beta.npz")["x0"]).max() > 1e-2


def test_a_sampler_runs_without_pytorch_and_onnx(folder, capsys):
    exported(capsys, "--recipe", "ddpm", "--steps", 3)
    code = (
        "import sys; from dtool.cli import main; code = main(['sample', 'app.onnx', '-q']);"
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'onnx', 'onnxscript')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


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
def test_bad_input(folder, capsys, words, code, says):
    before = sorted(p.name for p in folder.iterdir())
    done = ran(capsys, *words)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 2, done.err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_name_with_a_dot_keeps_it():
    from dtool.cli.export import _named

    assert _named(Path("model.v1.pt"), None) == Path("model.v1.onnx")
    assert _named(Path("a/model.v1.pt"), "ddim") == Path("a/model.v1-ddim.onnx")


def test_what_a_sampler_cannot_do_is_refused(folder, capsys):
    exported(capsys, "--recipe", "ddim", "--steps", 3, "--freeze", "--seed", 7)
    assert (folder / "config.pbtxt").is_file()
    assert ran(capsys, "sample", "app.onnx", "--seed", 7).code == 0
    for words in (("--seed", 8), ("--steps", 5), ("--guidance", 3), ("--trace",)):
        done = (
            ran(capsys, "sample", "app.onnx", "--seed", 7, *words)
            if "--seed" not in words
            else ran(capsys, "sample", "app.onnx", *words)
        )
        assert done.code == 2
        assert "frozen" in done.err
    done = ran(capsys, "plan", "app.onnx", "--steps", 5)
    assert done.code == 2
    assert "as it is" in done.err


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
    from dtool.export import small

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(small, "ALLOWED", 1e-6)
    words = ("export", "--recipe", "ddim", "--steps", 2, "--half", "-o", "small.onnx", "--no-check")
    done = ran(capsys, *words)
    assert done.code == 3
    assert "--allow-loss" in done.err
    assert list(tmp_path.iterdir()) == []
    assert ran(capsys, *words, "--allow-loss").code == 0
    assert ran(capsys, "export", "--recipe", "ddim", "--half", "--int8").code == 2
    assert ran(capsys, "export", "--recipe", "ddim", "--allow-loss").code == 2


def test_a_sampler_of_an_onnx_file_is_exported_without_pytorch(folder):
    code = (
        "import sys; sys.modules['torch'] = None; from dtool.cli import main;"
        "sys.exit(main(['export', 'net.onnx', '--recipe', 'ddim', '--steps', '3', '-o', 'app.onnx', '-q']))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
    assert (folder / "app.onnx").is_file()


# ---------------------------------------------------------------- what is written beside it


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_another_models_configuration_is_not_overwritten(folder, capsys):
    (folder / "config.pbtxt").write_text("another model's")
    words = ("--recipe", "ddim", "--steps", 3, "--freeze")
    failed(ran(capsys, "export", "net.onnx", "-o", "app.onnx", *words), 2, "config.pbtxt is there", "another folder")
    assert _names(folder) == ["config.pbtxt", "net.onnx"]
    (folder / "config.pbtxt").unlink()
    exported(capsys, *words)
    text = (folder / "config.pbtxt").read_text()
    exported(capsys, *words, "--seed", 3)  # its own is no obstacle
    assert (folder / "config.pbtxt").read_text() == text


def test_a_configuration_that_cannot_be_written_is_found_out_at_once(folder, capsys, monkeypatch):
    (folder / "config.pbtxt").mkdir()
    monkeypatch.setattr("dtool.export.api.source", None)  # nothing has been read by then
    done = ran(capsys, "export", "net.onnx", "-o", "app.onnx", "--recipe", "ddim", "--freeze")
    failed(done, 1, "config.pbtxt: is a folder")


@pytest.mark.parametrize("fails", ["config.pbtxt", "app.onnx"])
@pytest.mark.parametrize("old", [False, True])
def test_both_files_are_written_or_none(fails, old, folder, capsys, monkeypatch):
    if old:
        exported(capsys, "--recipe", "ddim", "--steps", 3, "--freeze", "--no-check")
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


# ---------------------------------------------------------------- compared, and without its plugin


def test_a_samplers_file_is_compared_as_its_network_is(folder, capsys):
    exported(capsys, "--recipe", "dpmpp-2m", "--steps", 4, "--history", 2, "--no-check")
    words = ("ddim", "dpmpp-2m/karras", "--steps", "3,5", "-n", 3, "--repeats", 1, "--guidance", 2, "--json")
    own, host = (json.loads(ran(capsys, "compare", file, *words).out) for file in ("app.onnx", "net.onnx"))
    assert [e["recipe"] for e in own["entries"]] == [e["recipe"] for e in host["entries"]]
    np.testing.assert_allclose(own["rmse"], host["rmse"], atol=1e-5)


def test_of_the_usual_recipes_a_file_draws_those_it_has_room_for(folder, capsys):
    exported(capsys, "--recipe", "ddim", "--steps", 4, "--no-check")
    words = ("--steps", 4, "-n", 2, "--repeats", 1)
    found = json.loads(ran(capsys, "compare", "app.onnx", *words, "--json").out)
    assert [entry["name"] for entry in found["entries"]] == ["ddpm", "ddim"]
    failed(ran(capsys, "compare", "app.onnx", "dpmpp-2m", *words), 2, "remembers 1 older", "history=1")


def test_a_frozen_file_is_not_compared(folder, capsys):
    exported(capsys, "--recipe", "ddim", "--steps", 4, "--no-check", "--freeze")
    failed(ran(capsys, "compare", "app.onnx", "ddim"), 2, "frozen", "compare the network's own file")
    assert not (folder / "compare.png").exists()


STRANGER = """
    from dtool import hookimpl
    from dtool.samplers.rule import sampler

    @hookimpl
    def register_samplers(register):
        @sampler("stranger", order=1)
        def stranger(now, to, *, strength: float = 0.5):
            return to.alpha * now.x0 + strength * to.sigma * now.eps

        register("stranger", stranger)
"""


@pytest.fixture
def stranger(folder, capsys, monkeypatch):
    """app.onnx, made with a sampler of a package that is not there any more, and how its images were when it was."""
    site = folder / "site"
    info = site / "dtool_stranger-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "dtool_stranger.py").write_text(textwrap.dedent(STRANGER), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dtool-stranger\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[dtool]\ndtool-stranger = dtool_stranger\n", encoding="utf-8")
    with monkeypatch.context() as there:
        there.syspath_prepend(str(site))
        registry.cache_clear()
        exported(capsys, "--recipe", "stranger:strength=0.9", "--steps", 4, "--no-check")
        assert ran(capsys, "sample", "app.onnx", "-n", 3, "--npz", "then.npz").code == 0
    registry.cache_clear()
    yield np.load(folder / "then.npz")["x0"]
    registry.cache_clear()
    sys.modules.pop("dtool_stranger", None)


def test_a_file_outlives_the_plugin_of_its_sampler(stranger, capsys):
    for words in ((), ("--npz", "now.npz", "-n", 3, "--trace", "-o", "now.png")):
        done = ran(capsys, "sample", "app.onnx", *words)
        assert done.code == 0, done.err
    np.testing.assert_array_equal(np.load("now.npz")["x0"], stranger)
    assert "stranger:strength=0.9" in done.err
    assert ran(capsys, "plan", "app.onnx").code == 0
    assert ran(capsys, "sample", "app.onnx", "--help").code == 0
    assert ran(capsys, "sample", "app.onnx", "--sampler", "ddim", "--steps", 3, "--eta", 0.5, "-q").code == 0
    assert ran(capsys, "export", "--check", "app.onnx").code == 0


@pytest.mark.parametrize(
    "words", [("--steps", 3), ("--scheduler", "cosine"), ("--points", "900,100"), ("--sigma", "none")]
)
def test_what_needs_the_plugin_is_refused_by_its_name(words, stranger, capsys):
    done = ran(capsys, "sample", "app.onnx", *words)
    failed(done, 2, "stranger:strength=0.9 must be compiled again for that, and there is no sampler 'stranger'")
    assert "install the package" in done.err
    failed(ran(capsys, "sample", "app.onnx", "--sampler", "stranger"), 2, "there is no sampler 'stranger'")
