"""What must be said of other people's ONNX files, how, and what a file says itself."""

import json
import re
import shlex

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from tests.support.commandline import failed, ran

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import FLOAT, INT64, SAID, SHAPE, saved, twin  # noqa: E402


def test_what_is_said_is_what_it_is(tmp_path):
    said = {"schedule": "cosine", "prediction": "v", "data_range": (0.0, 1.0)}
    net = dtool.load(saved(make.network(), tmp_path), device="cpu", spec=said)
    assert (net.spec.schedule, net.prediction, net.spec.data_range) == ("cosine", "v", (0.0, 1.0))
    got = dtool.sample(net, "ddim", n=2, steps=5, clip=True)
    same = twin(schedule="cosine", prediction="v", data_range=(0.0, 1.0))
    np.testing.assert_allclose(got.x0, dtool.sample(same, "ddim", n=2, steps=5, clip=True).x0, atol=1e-5)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A foreign file in the working folder."""
    monkeypatch.chdir(tmp_path)
    saved(make.network(), tmp_path)
    return "foreign.onnx"


def test_the_command(capsys, file):
    result = ran(
        capsys, "sample", file, "--schedule", "linear", "--prediction", "eps", "--steps", 4, "-n", 3, "--npz", "a.npz"
    )
    assert result.code == 0, result.err
    with np.load("a.npz") as written:
        want = dtool.sample(twin(), "ddpm", n=3, steps=4).x0
        np.testing.assert_allclose(written["x0"], want, atol=1e-5)


def test_the_schedule_to_sample_with_is_another_matter(capsys, file):
    words = [file, "--schedule", "cosine", "--prediction", "v", "--steps", 4, "-n", 2, "-q", "--json"]
    own, other = ran(capsys, "sample", *words), ran(capsys, "sample", *words, "--scheduler", "linear")
    assert json.loads(own.out)["recipe"] == "ddpm"
    assert json.loads(other.out)["recipe"] == "ddpm@linear"
    assert json.loads(own.out)["plan"] != json.loads(other.out)["plan"]


def test_every_flag(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, label = ("sample", FLOAT, ["batch", "channels", "h", "w"]), ("class_labels", INT64, ["batch"])
    saved(make.network(x, ("timestep", FLOAT, ["batch"]), label), tmp_path)
    flags = ["--schedule", "linear:T=500", "--prediction", "x0", "--shape", "3,4,6", "--num-classes", 5]
    flags += ["--data-range", "-2,2", "--clip", "--steps", 4, "-n", 3, "--guidance", 2]
    assert ran(capsys, "sample", "foreign.onnx", *flags, "--npz", "a.npz", "-q").code == 0
    same = twin((3, 4, 6), schedule="linear:T=500", prediction="x0", classes=5, data_range=(-2, 2), clip=True)
    with np.load("a.npz") as written:
        np.testing.assert_allclose(written["x0"], dtool.sample(same, "ddpm", n=3, steps=4, guidance=2).x0, atol=1e-5)
    flags = [*flags[:-6], "--steps", 3, "-n", 2, "-q", "--repeats", 1, "--json"]
    result = ran(capsys, "compare", "foreign.onnx", "ddim", "ddpm", *flags)
    assert [e["recipe"] for e in json.loads(result.out)["entries"]] == ["ddim", "ddpm"]


@pytest.mark.parametrize("dims", [["batch", 1, 4, 4], ["batch", "c", "h", "w"]])
@pytest.mark.parametrize("label", [None, ("class_labels", INT64, ["batch"])])
def test_the_hint_can_be_typed_as_it_is(capsys, tmp_path, monkeypatch, dims, label):
    monkeypatch.chdir(tmp_path)
    saved(make.network(("sample", FLOAT, dims), ("timestep", INT64, []), label), tmp_path)
    result = ran(capsys, "sample", "foreign.onnx")
    failed(result, 1, "foreign.onnx does not say what network it is: it has no dtool metadata", "say what it was")
    command, fields = re.search(r"as in: dtool (.*); in Python: spec=dict\((.*)\)", result.err).groups()
    assert ran(capsys, *shlex.split(command), "--steps", 2, "-n", 2).code == 0
    spec = eval(f"dict({fields})")
    assert dtool.load("foreign.onnx", spec=spec).spec.classes == (10 if label else 0)


@pytest.mark.parametrize(
    ("flags", "code", "cause", "hint"),
    [
        (["--schedule", "linear"], 2, "say which prediction it was trained with", "--prediction eps"),
        (["--prediction", "eps"], 2, "say which schedule it was trained with", "--schedule linear"),
        (["--num-classes", "3"], 2, "say which schedule it was trained with", "--schedule"),
        (["--schedule", "lineer", "--prediction", "eps"], 2, "lineer", "did you mean linear"),
        (["--schedule", "linear", "--prediction", "epsilon"], 2, "there is no prediction 'epsilon'", "--help"),
        (["--schedule", "linear", "--prediction", "eps", "--shape", "3,4,4"], 1, "not of shape (3, 4, 4)", "leave out"),
        (["--schedule", "linear", "--prediction", "eps", "--shape", "big"], 2, "--shape big", "3,32,32"),
        (["--schedule", "linear", "--prediction", "eps", "--data-range", "1"], 2, "data_range", "--help"),
        (["--schedule", "linear", "--prediction", "eps", "--num-classes", "3"], 1, "expected x, t, label", "leave out"),
    ],
)
def test_what_is_said_wrongly(capsys, file, flags, code, cause, hint):
    failed(ran(capsys, "sample", file, *flags), code, cause, hint)


def test_what_must_be_said(tmp_path):
    dynamic = ("sample", FLOAT, ["batch", "channels", 32, 32])
    path = saved(make.network(dynamic), tmp_path)
    with pytest.raises(UsageError, match=r"samples of any shape \(sample float32 \(batch, channels, 32, 32\)\)") as e:
        dtool.load(path, spec=SAID)
    assert "--shape 3,32,32" in e.value.hint
    with pytest.raises(DtoolError, match=r"not of shape \(3, 16, 32\)"):
        dtool.load(path, spec=SAID | {"shape": (3, 16, 32)})
    path = saved(make.network(label=("y", INT64, ["batch"])), tmp_path)
    with pytest.raises(
        UsageError, match=r"a class label \(y int64 \(batch\)\), and the number of classes is unknown"
    ) as e:
        dtool.load(path, spec=SAID)
    assert "--num-classes 10" in e.value.hint
    with pytest.raises(UsageError, match="nonsense"):
        dtool.load(path, spec=SAID | {"classes": 3, "nonsense": 1})


def test_a_file_that_says_it_itself_is_believed(capsys, file, tmp_path):
    own = make.network()
    spec = dtool.NetworkSpec(shape=SHAPE, schedule="cosine", prediction="v")
    helper.set_model_props(own, {"dtool": json.dumps({"format": 1, "spec": json.loads(spec.model_dump_json())})})
    saved(own, tmp_path, "own.onnx")
    hint = "another schedule to sample with is --scheduler"
    failed(ran(capsys, "sample", "own.onnx", "--schedule", "linear"), 2, "own.onnx says itself", hint)
    failed(ran(capsys, "sample", "--schedule", "linear"), 2, "the network inside the package says itself", hint)
    (tmp_path / "net.pt").write_bytes(b"")
    result = ran(capsys, "sample", "net.pt", "--schedule", "linear")
    failed(result, 1, "net.pt: the file is damaged (it is empty)", "copy or download it again")
    failed(ran(capsys, "sample", "a.b:c", "--prediction", "v"), 2, "a.b:c says itself", hint)
    failed(ran(capsys, "compare", "own.onnx", "ddim", "--shape", "1,4,4"), 2, "own.onnx says itself", hint)
