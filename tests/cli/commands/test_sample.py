"""`dtool sample` as a user types it, with networks and with samplers' files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import (
    SHAPE,
    failed,
    network,
    plain_environment,
    ran,
    started,
    typed,
    use_network,
)

SLOW = """
    import sys, time, dtool
    def slow(x, t):
        print("began", file=sys.stderr, flush=True)
        time.sleep(0.05)
        return x
    net = dtool.network(slow, shape=(1, 4, 4))
    dtool.default_network = lambda device="auto": net
    from dtool.cli import main
    sys.exit(main(["sample", "--steps", "1000", "-o", "out.png", "--npz", "out.npz"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent to a process")
def test_ctrl_c_while_sampling_leaves_nothing_half_written(tmp_path):
    with started(SLOW, tmp_path) as process:
        assert process.stderr.readline() == b"began\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.replace(b"began\n", b"") == b"error: interrupted\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_first_command_writes_a_picture(capsys, tmp_path):
    result = ran(capsys, "sample")
    assert (result.code, result.out) == (0, "samples.png\n")
    assert "16 images, ddpm, 50 steps, 50 calls" in result.err
    assert _names(tmp_path) == ["samples.png"]
    with Image.open("samples.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (4 * (10 * 8 + 3) + 3, 4 * (12 * 8 + 3) + 3)


@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
def test_the_command_of_the_documentation(capsys, stub):
    assert ran(capsys, "sample", "--scheduler", "cosine", "--sigma", "tilde", "--steps", 5, "--npz", "x.npz").code == 0
    with np.load("x.npz") as saved:
        plan = dtool.plan("ddpm:sigma=tilde@cosine", steps=5, network=stub)
        np.testing.assert_array_equal(saved["x0"], dtool.sample(stub, plan, n=16).x0)
        assert saved["ids"].tolist() == list(range(16))
        assert saved["labels"].tolist() == [i % 3 for i in range(16)]
        assert json.loads(str(saved["settings"]))["recipe"] == "ddpm@cosine"


def test_ids_name_images_of_a_seed(capsys):
    ran(capsys, "sample", "--steps", 3, "--npz", "all.npz", "-n", 6)
    ran(capsys, "sample", "--steps", 3, "--npz", "some.npz", "--ids", "1,3-5", "-q")
    with np.load("all.npz") as every, np.load("some.npz") as some:
        assert some["ids"].tolist() == [1, 3, 4, 5]
        np.testing.assert_array_equal(some["x0"], every["x0"][[1, 3, 4, 5]])


def test_noise_of_one_path(capsys, stub):
    assert ran(capsys, "sample", "--steps", 3, "-n", 2, "--npz", "x.npz", "--noise", "path").code == 0
    with np.load("x.npz") as saved:
        np.testing.assert_array_equal(saved["x0"], dtool.sample(stub, "ddpm", steps=3, n=2, noise="path").x0)
        assert json.loads(str(saved["settings"]))["noise"] == "path"
    failed(ran(capsys, "sample", "--steps", 3, "--noise", "brownian"), 2, "neither path nor rows")


def test_help_shows_the_options_of_the_sampler_that_is_named(capsys):
    assert "--sigma" in ran(capsys, "sample", "--help").out
    shown = ran(capsys, "sample", "--sampler", "ddim", "--help").out
    assert "--eta" in shown
    assert "Options of ddim" in shown
    assert "--sigma  " not in shown


@pytest.mark.parametrize(
    ("args", "code", "cause", "hint"),
    [
        (["--sampler", "heun", "--sigma", "tilde"], 2, "heun has no option --sigma", "option of --sampler ddpm"),
        (["--recipe", "ddim", "--sigma", "beta"], 2, "ddim has no option --sigma", "ddpm"),
        (["--guidance", "inf"], 2, "guidance inf is no scale", "0 or more"),
        (["--recipe", ""], 2, "cannot read the recipe ''", "SAMPLER"),
        (["--sampler", ""], 2, "cannot read the recipe ''", "SAMPLER"),
        (["--sigma", "foo"], 2, "'--sigma': 'foo' is not one of", "--help"),
        (["--sampler", "ddmp"], 2, "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["--scheduler", "cosin"], 2, "there is no scheduler 'cosin'", "did you mean cosine"),
        (["--spacing", "karas"], 2, "there is no spacing 'karas'", "did you mean karras"),
        (["--sigma", "alpha"], 2, "'--sigma'", ""),
        (["--sampler", "ddim", "--eta", "2"], 2, "'--eta'", ""),
        (["--stps", "3"], 2, "dtool sample has no option --stps", "did you mean --steps"),
        (["-n", "0"], 2, "'-n'", ""),
        (["--steps", "0"], 2, "'--steps'", ""),
        (["--steps", "1001"], 2, "1001 steps cannot be had", "1 to 1000"),
        (["--ids", "3-1"], 2, "--ids 3-1: not a list of image ids", "0-15"),
        (["--ids", "0-3", "-n", "5"], 2, "-n 5, but --ids names 4 images", "leave -n out"),
        (["--class", "5"], 2, "there is no class '5'", "0 … 2"),
        (["--points", "a"], 2, "--points a: not a list of numbers", "999,750"),
        (["--points", "500,800"], 2, "", ""),
        (["--recipe", "ddim", "--sampler", "ddim"], 2, "--recipe names the sampler already", "leave --sampler out"),
        (["--recipe", "ddim@cosine", "--scheduler", "linear"], 2, "names its schedule already", "leave out"),
        (["--device", "tpu", "missing.onnx"], 1, "there is no file missing.onnx", ""),
        (["missing.pt"], 1, "there is no file missing.pt", ""),
        (["notes.txt"], 1, "there is no file notes.txt", "check the path"),
        (["pipelin"], 1, "there is no file or folder pipelin", "dtool model says what can be opened"),
        (["--backend", "torch"], 2, "runs on onnxruntime, not on torch", "leave --backend out"),
        (["-o", "samples.jpg"], 2, "samples.jpg: the picture is a PNG", "--npz"),
        (["--npz", "a.png"], 2, "a.png: the array is an .npz", ""),
        (["-o", "no/such/folder.png"], 1, "can't be written", "folder"),
        (["--npz", "no/such/folder.npz"], 1, "can't be written", "folder"),
        (["--guidance", "-1"], 2, "guidance -1 is no scale", "0 or more"),
        (["--seed", "x"], 2, "'--seed'", ""),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(capsys, tmp_path, args, code, cause, hint):
    failed(ran(capsys, "sample", *args), code, cause, hint)
    assert _names(tmp_path) == []


def test_a_network_that_gives_nan_writes_nothing(capsys, monkeypatch, tmp_path):
    broken = dtool.network(lambda x, t: x * np.nan, shape=SHAPE)
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": broken)
    failed(ran(capsys, "sample", "--steps", 2), 1, "not finite")
    assert _names(tmp_path) == []


@pytest.mark.skipif(
    not (files("dtool.models") / "digits.onnx").is_file(), reason="the package's network is not made yet"
)
def test_the_package_s_own_network_draws_digits_without_torch(tmp_path):
    result = typed("sample", "--scheduler", "cosine", "--sigma", "tilde", "--steps", 20, "-n", 10, cwd=tmp_path)
    assert (result.code, result.out) == (0, "samples.png\n"), result.err
    with Image.open(tmp_path / "samples.png") as picture:
        pixels = np.asarray(picture.convert("L"), dtype=float)
    assert (pixels < 30).mean() > 0.4, "digits are mostly black"
    assert (pixels > 200).mean() > 0.03, "and partly white"


@pytest.mark.skipif(
    not (files("dtool.models") / "digits.onnx").is_file(), reason="the package's network is not made yet"
)
def test_sampling_from_an_onnx_file_imports_no_torch(tmp_path):
    path = files("dtool.models") / "digits.onnx"
    script = f"""
        import sys
        from dtool.cli import main
        code = main(["sample", {str(path)!r}, "--sampler", "ddim", "--steps", "2", "-n", "1", "--trace", "-q"])
        sys.exit(code or ("torch" in sys.modules and "torch was imported") or 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "samples.png\nsamples-trace.png\n"), done.stderr
