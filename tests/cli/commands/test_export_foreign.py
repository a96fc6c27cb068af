"""`dtool export` of other people's networks: said what they are."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import FLOAT, INT64, saved  # noqa: E402

T = ("timestep", INT64, [])
# With T = 1000 and 7 trailing steps, times lie between whole ones, which a whole input rounds.
pytestmark = pytest.mark.filterwarnings("ignore:the network takes whole times")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A foreign file in the working folder."""
    monkeypatch.chdir(tmp_path)
    saved(make.network(), tmp_path)
    return "foreign.onnx"


def test_the_flags_are_those_of_sample(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, label = ("sample", FLOAT, ["batch", "channels", "h", "w"]), ("class_labels", INT64, ["batch"])
    saved(make.network(x, T, label), tmp_path)
    flags = ["--schedule", "linear:T=500", "--prediction", "x0", "--shape", "3,4,6", "--num-classes", 5]
    flags += ["--data-range", "-2,2"]
    done = ran(capsys, "export", "foreign.onnx", *flags, "--recipe", "ddim", "--steps", 5, "-o", "app.onnx")
    assert (done.code, done.out) == (0, "app.onnx\n"), done.err
    assert ran(capsys, "sample", "app.onnx", "-n", 3, "--npz", "own.npz", "-q").code == 0
    words = [*flags, "--sampler", "ddim", "--steps", 5, "-n", 3, "--npz", "host.npz", "-q"]
    assert ran(capsys, "sample", "foreign.onnx", *words).code == 0
    np.testing.assert_allclose(np.load("own.npz")["x0"], np.load("host.npz")["x0"], atol=1e-5)


def test_the_hint_can_be_typed_as_it_is(capsys, file):
    done = ran(capsys, "export", file, "--recipe", "ddim")
    failed(done, 1, "foreign.onnx does not say what network it is", "say what it was trained for")
    [command] = re.findall(r"as in: dtool (.*); in Python", done.err)
    assert ran(capsys, *shlex.split(command), "--steps", 2, "-o", "app.onnx").code == 0


@pytest.mark.parametrize(
    ("words", "code", "cause", "hint"),
    [
        (
            ["--schedule", "linear", "--recipe", "ddim"],
            2,
            "which prediction it was trained with",
            "--prediction eps",
        ),
        (["--schedule", "linear", "--prediction", "eps"], 2, "for a sampler's file", "--recipe"),
        (["--recipe", "ddim", "--schedule", "linear", "--time-limit", "3"], 2, "no option --time-limit", ""),
    ],
)
def test_what_is_said_wrongly(capsys, file, tmp_path, words, code, cause, hint):
    failed(ran(capsys, "export", file, *words), code, cause, hint)
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_who_says_it_himself_is_believed(capsys, file):
    words = ["--schedule", "linear", "--prediction", "eps", "--recipe", "ddim", "--steps", 2]
    assert ran(capsys, "export", file, *words, "-o", "app.onnx").code == 0
    failed(ran(capsys, "export", "app.onnx", *words, "-o", "b.onnx"), 2, "app.onnx says itself", "leave out")
    failed(ran(capsys, "export", *words, "-o", "b.onnx"), 2, "the network inside the package says itself", "leave out")
    failed(ran(capsys, "export", "net.pt", *words, "-o", "b.onnx"), 1, "there is no file net.pt", "check the path")
