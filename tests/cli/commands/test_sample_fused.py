"""`dtool sample` with a file that holds a whole sampler."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from dtool.plugins.registry import get_registry
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.sampler_files import export_sampler

pytestmark = pytest.mark.usefixtures("host_file")


@pytest.mark.parametrize("words", [("--sampler", "ddim", "--steps", 8), ("--steps", 3), ("--scheduler", "cosine")])
def test_another_plan_in_the_files_place(folder, capsys, words):
    export_sampler(capsys, "--recipe", "ddpm:sigma=beta", "--steps", 4)
    assert ran(capsys, "sample", "app.onnx", *words, "--npz", "own.npz", "--trace", "-o", "own.png").code == 0
    recipe = () if "--sampler" in words else ("--sampler", "ddpm", "--sigma", "beta")
    steps = () if "--steps" in words else ("--steps", 4)
    assert ran(capsys, "sample", "net.onnx", *recipe, *steps, *words, "--npz", "host.npz").code == 0
    assert np.abs(np.load("own.npz")["x0"] - np.load("host.npz")["x0"]).max() < 1e-5


def test_the_files_own_options_are_flags(folder, capsys):
    export_sampler(capsys, "--recipe", "ddpm:sigma=beta", "--steps", 4)
    assert ran(capsys, "sample", "app.onnx", "--sigma", "none", "--npz", "none.npz").code == 0
    assert ran(capsys, "sample", "app.onnx", "--npz", "beta.npz").code == 0
    assert np.abs(np.load("none.npz")["x0"] - np.load("beta.npz")["x0"]).max() > 1e-2


def test_a_sampler_runs_without_pytorch_and_onnx(folder, capsys):
    export_sampler(capsys, "--recipe", "ddpm", "--steps", 3)
    code = (
        "import sys; from dtool.cli import main; code = main(['sample', 'app.onnx', '-q']);"
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'onnx', 'onnxscript')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


def test_what_a_sampler_cannot_do_is_refused(folder, capsys):
    export_sampler(capsys, "--recipe", "ddim", "--steps", 3, "--freeze", "--seed", 7)
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
        get_registry.cache_clear()
        export_sampler(capsys, "--recipe", "stranger:strength=0.9", "--steps", 4, "--no-check")
        assert ran(capsys, "sample", "app.onnx", "-n", 3, "--npz", "then.npz").code == 0
    get_registry.cache_clear()
    yield np.load(folder / "then.npz")["x0"]
    get_registry.cache_clear()
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
