"""What `dtool sample` writes: the array first, whatever becomes of the picture."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import (
    SHAPE,
    Result,
    failed,
    names,
    network,
    no_picture,
    plain_environment,
    ran,
    use_network,
)

QUICK = ("--steps", 2, "-n", 2, "-q")
MINE = b"a photograph"


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_the_trace_is_a_strip_beside_the_picture(capsys, tmp_path):
    result = ran(capsys, "sample", "--sampler", "heun", "--steps", 4, "-n", 2, "--trace", "-o", "a.png")
    assert result.out == "a.png\na-trace.png\n"
    assert names() == ["a-trace.png", "a.png"]
    with Image.open("a-trace.png") as strip:
        assert strip.width > 5 * 50
        assert strip.height > 4 * 60


def test_another_network_s_shape_that_is_no_picture_gives_an_array(capsys, monkeypatch, tmp_path):
    points = dtool.network(lambda x, t: x, shape=(2,))
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": points)
    assert ran(capsys, "sample", "--steps", 2).out == "samples.npz\n"
    assert names() == ["samples.npz"]
    failed(ran(capsys, "sample", "--trace"), 2, "shape (2,) are no pictures", "--npz")
    failed(ran(capsys, "sample", "-o", "a.png"), 2, "shape (2,) are no pictures", "--npz")


def test_a_folder_in_the_way_is_refused(capsys, tmp_path):
    (tmp_path / "samples.png").mkdir()
    failed(ran(capsys, "sample"), 1, "is a folder", "-o")


def test_a_full_disk_leaves_the_old_picture_and_nothing_half_written(capsys, monkeypatch, tmp_path):
    ran(capsys, "sample", "--steps", 2, "-n", 1)
    old = (tmp_path / "samples.png").read_bytes()

    def full(self, fp, *_, **__):
        with open(fp, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    failed(ran(capsys, "sample", "--steps", 2, "-n", 2, "-q"), 1, "No space left on device", "free some space")
    assert names() == ["samples.png"]
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
    assert names() == []


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device"),
    MemoryError(),
    ValueError("too large"),
    OverflowError("it"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_picture_that_nobody_asked_for_is_no_error(capsys, monkeypatch, error):
    no_picture(monkeypatch, error)
    result = ran(capsys, "sample", "--steps", 2, "-n", 2, "--npz", "x.npz")
    assert (result.code, result.out) == (0, "x.npz\n")
    assert "warning: samples.png: " in result.err
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_picture_that_was_asked_for_is_an_error_after_the_array(capsys, monkeypatch, error):
    no_picture(monkeypatch, error)
    result = ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png")
    assert (result.code, result.out) == (1, "x.npz\n")
    cause, _hint = result.err.splitlines()
    assert cause.startswith("error: a.png: ")
    assert cause.endswith("written: x.npz")
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


def test_an_array_that_fails_does_not_cost_the_picture(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    result = ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png")
    assert (result.code, result.out) == (1, "a.png\n")
    assert "x.npz: can't be written (No space left on device); written: a.png" in result.err
    assert "free some space" in result.err


def test_ctrl_c_in_the_picture_leaves_the_array(capsys, monkeypatch):
    no_picture(monkeypatch, KeyboardInterrupt())
    assert ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png").code == 130
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


@pytest.mark.parametrize("kind", ["file", "folder", "own"])
def test_a_picture_that_nobody_asked_for_replaces_nothing(capsys, kind):
    path = Path("samples.png")
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(MINE)
    else:
        ran(capsys, "sample", *QUICK, "--seed", 1)
    before = path.read_bytes() if path.is_file() else None
    result = ran(capsys, "sample", "--steps", 2, "-n", 2, "--npz", "x.npz", "--json")
    assert result.code == 0
    assert json.loads(result.out)["files"] == {"npz": "x.npz"}
    assert "samples.png is there already, and stays as it is" in result.err
    assert (path.read_bytes() if path.is_file() else None) == before


def test_with_an_array_the_usual_picture_comes_where_it_can(capsys):
    assert ran(capsys, "sample", *QUICK, "--npz", "x.npz").out == "samples.png\nx.npz\n"
