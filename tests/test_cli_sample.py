"""`dtool sample` as a user types it, with a network in closed form in place of the package's."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap
from importlib.resources import files

import numpy as np
import pytest
from commandline import SHAPE, Result, failed, network, plain_environment, ran, typed
from PIL import Image

import dtool


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    net = network()
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": net)
    monkeypatch.chdir(tmp_path)
    return net


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


@pytest.mark.parametrize(
    ("args", "recipe"),
    [
        (["--sampler", "ddim", "--eta", "0.5"], "ddim:eta=0.5"),
        (["--sampler=ddim", "--eta=0.5"], "ddim:eta=0.5"),
        (["--sampler", "ddim:eta=0.5"], "ddim:eta=0.5"),
        (["--recipe", "ddim:eta=0.25", "--eta", "0.5"], "ddim:eta=0.5"),
        (["--sigma", "beta"], "ddpm:sigma=beta"),
        (["--recipe", "dpmpp-2m@cosine/karras"], "dpmpp-2m@cosine/karras"),
        (["--sampler", "heun", "--spacing", "karras:rho=5"], "heun/karras:rho=5.0"),
    ],
)
def test_every_way_of_saying_a_recipe(capsys, args, recipe):
    result = ran(capsys, "sample", *args, "--steps", 3, "-n", 2, "--json", "-q")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["recipe"] == recipe
    assert found["files"] == {"picture": "samples.png"}
    assert result.err == ""


def test_the_picture_says_how_it_was_made(capsys):
    ran(capsys, "sample", "--steps", 3, "-n", 2, "--seed", 7)
    with Image.open("samples.png") as picture:
        settings = json.loads(picture.text["dtool"])
    assert (settings["recipe"], settings["steps"], settings["seed"], settings["n"]) == ("ddpm", 3, 7, 2)


def test_ids_name_images_of_a_seed(capsys):
    ran(capsys, "sample", "--steps", 3, "--npz", "all.npz", "-n", 6)
    ran(capsys, "sample", "--steps", 3, "--npz", "some.npz", "--ids", "1,3-5", "-q")
    with np.load("all.npz") as every, np.load("some.npz") as some:
        assert some["ids"].tolist() == [1, 3, 4, 5]
        np.testing.assert_array_equal(some["x0"], every["x0"][[1, 3, 4, 5]])


def test_classes_are_repeated_over_the_images(capsys):
    ran(capsys, "sample", "--steps", 2, "-n", 5, "--class", "2,none", "--npz", "c.npz")
    with np.load("c.npz") as saved:
        assert saved["labels"].tolist() == [2, 3, 2, 3, 2]


def test_points_are_your_own_times(capsys):
    found = json.loads(ran(capsys, "sample", "--points", "999,500,10", "--json", "-n", 1).out)
    assert (found["steps"], found["calls"]) == (3, 3)


def test_the_trace_is_a_strip_beside_the_picture(capsys, tmp_path):
    result = ran(capsys, "sample", "--sampler", "heun", "--steps", 4, "-n", 2, "--trace", "-o", "a.png")
    assert result.out == "a.png\na-trace.png\n"
    assert _names(tmp_path) == ["a-trace.png", "a.png"]
    with Image.open("a-trace.png") as strip:
        assert strip.width > 5 * 50
        assert strip.height > 4 * 60


def test_another_network_s_shape_that_is_no_picture_gives_an_array(capsys, monkeypatch, tmp_path):
    points = dtool.network(lambda x, t: x, shape=(2,))
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": points)
    assert ran(capsys, "sample", "--steps", 2).out == "samples.npz\n"
    assert _names(tmp_path) == ["samples.npz"]
    failed(ran(capsys, "sample", "--trace"), 2, "shape (2,) are no pictures", "--npz")
    failed(ran(capsys, "sample", "-o", "a.png"), 2, "shape (2,) are no pictures", "--npz")


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
        (["notes.txt"], 2, "notes.txt is neither a checkpoint nor an ONNX file", ".onnx"),
        (["--backend", "torch"], 2, "runs on onnxruntime, not on torch", "leave --backend out"),
        (["-o", "samples.jpg"], 2, "samples.jpg: the picture is a PNG", "--npz"),
        (["--npz", "a.png"], 2, "a.png: the array is an .npz", ""),
        (["-o", "no/such/folder.png"], 1, "can't be written", "folder"),
        (["--npz", "no/such/folder.npz"], 1, "can't be written", "folder"),
        (["--guidance", "-1"], 2, "'--guidance'", ""),
        (["--seed", "x"], 2, "'--seed'", ""),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(capsys, tmp_path, args, code, cause, hint):
    failed(ran(capsys, "sample", *args), code, cause, hint)
    assert _names(tmp_path) == []


def test_classes_of_an_unconditional_network_are_refused(capsys, monkeypatch):
    bare = network(classes=0)
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": bare)
    failed(ran(capsys, "sample", "--class", "1", "--steps", 2), 2, "not conditional", "leave --class out")


def test_a_folder_in_the_way_is_refused(capsys, tmp_path):
    (tmp_path / "samples.png").mkdir()
    failed(ran(capsys, "sample"), 1, "is a folder", "-o")


def test_a_network_that_gives_nan_writes_nothing(capsys, monkeypatch, tmp_path):
    broken = dtool.network(lambda x, t: x * np.nan, shape=SHAPE)
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": broken)
    failed(ran(capsys, "sample", "--steps", 2), 1, "not finite")
    assert _names(tmp_path) == []


def test_a_full_disk_leaves_the_old_picture_and_nothing_half_written(capsys, monkeypatch, tmp_path):
    ran(capsys, "sample", "--steps", 2, "-n", 1)
    old = (tmp_path / "samples.png").read_bytes()

    def full(self, fp, *_, **__):
        with open(fp, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    failed(ran(capsys, "sample", "--steps", 2, "-n", 2, "-q"), 1, "No space left on device", "free some space")
    assert _names(tmp_path) == ["samples.png"]
    assert (tmp_path / "samples.png").read_bytes() == old


LIMITED = """
    import resource, signal, sys, dtool
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
    net = dtool.network(lambda x, t: x, shape=(1, 20, 20))
    dtool.default_network = lambda device="auto": net
    from dtool.cli import main
    sys.exit(main(["sample", "--steps", "2", "--npz", "x.npz", "-q"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the process are POSIX")
def test_a_file_that_grows_too_large_is_removed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED)],
        cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    failed(Result(done.returncode, done.stdout, done.stderr), 1, "x.npz: can't be written", "free some space")
    assert "samples.png: can't be written" in done.stderr
    assert _names(tmp_path) == []


@pytest.mark.skipif(
    not (files("dtool.networks") / "digits.onnx").is_file(), reason="the package's network is not made yet"
)
def test_the_package_s_own_network_draws_digits_without_torch(tmp_path):
    result = typed("sample", "--scheduler", "cosine", "--sigma", "tilde", "--steps", 20, "-n", 10, cwd=tmp_path)
    assert (result.code, result.out) == (0, "samples.png\n"), result.err
    with Image.open(tmp_path / "samples.png") as picture:
        pixels = np.asarray(picture.convert("L"), dtype=float)
    assert (pixels < 30).mean() > 0.4, "digits are mostly black"
    assert (pixels > 200).mean() > 0.03, "and partly white"


@pytest.mark.skipif(
    not (files("dtool.networks") / "digits.onnx").is_file(), reason="the package's network is not made yet"
)
def test_sampling_from_an_onnx_file_imports_no_torch(tmp_path):
    path = files("dtool.networks") / "digits.onnx"
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
