"""Other people's networks become samplers' files: said what they are, called as a sampler calls."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from tests.commandline import failed, ran

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

import tests.foreign as make  # noqa: E402
from tests.foreign import DOUBLE, FLOAT, HALF, INT32, INT64, saved  # noqa: E402

SAID = {"schedule": "linear", "prediction": "eps"}
X, T = ("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, [])
# With T = 1000 and 7 trailing steps, times lie between whole ones, which a whole input rounds.
pytestmark = pytest.mark.filterwarnings("ignore:the network takes whole times")


def both(folder, proto, said=SAID, recipe="ddim", steps=7, **more):
    """The same images by the host's loop over the file, and by the sampler that is made of it."""
    path = saved(proto, folder)
    dtool.export(path, folder / "app.onnx", plan=recipe, steps=steps, spec=said, **more)
    options = {"n": 3, "seed": 5} | ({"guidance": 2.0} if said.get("classes") else {})
    host, file = dtool.load(path, spec=said, device="cpu"), dtool.load(folder / "app.onnx", device="cpu")
    clip = more.get("clip", False)
    assert file.spec == host.spec.model_copy(update={"clip": clip})
    return dtool.sample(host, file.plan, clip=clip, **options).x0, dtool.sample(file, **options).x0


@pytest.mark.parametrize(
    "t",
    [
        ("timestep", INT64, []),
        ("timestep", INT64, [1]),
        ("timestep", INT32, ["batch"]),
        ("timestep", FLOAT, ["batch"]),
        ("timestep", FLOAT, []),
        ("timestep", FLOAT, ["batch", 1]),
        ("timestep", DOUBLE, ["batch", 1, 1, 1]),
    ],
    ids=lambda t: f"{t[1]}-{len(t[2])}",
)
def test_any_kind_of_time(t, tmp_path):
    np.testing.assert_allclose(*both(tmp_path, make.network(X, t)), atol=1e-5)


@pytest.mark.parametrize("kind", [HALF, DOUBLE])
def test_any_kind_of_number(kind, tmp_path):
    network = make.network(("sample", kind, ["batch", 1, 4, 4]), ("timestep", kind, ["batch"]))
    host, file = both(tmp_path, network)
    # ONNX Runtime computes fp16 in float32 on a CPU, and rounds where it sees fit
    np.testing.assert_allclose(host, file, atol=(1e-6 if kind == DOUBLE else 1e-3) * np.abs(host).max())


@pytest.mark.parametrize("kind", [INT64, INT32])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_labels(kind, order, tmp_path):
    network = make.network(X, T, ("class_labels", kind, ["batch"]), order=order)
    np.testing.assert_allclose(*both(tmp_path, network, SAID | {"classes": 4}), atol=1e-5)


def test_a_learned_variance_and_every_field(tmp_path):
    dims = ["batch", "channels", "h", "w"]
    said = {"schedule": "cosine", "prediction": "v", "shape": (2, 3, 5), "data_range": (0.0, 1.0)}
    network = make.network(("sample", FLOAT, dims), T)
    np.testing.assert_allclose(*both(tmp_path, network, said, clip=True), atol=1e-5)
    network = make.network(X, T, doubled=True)
    np.testing.assert_allclose(*both(tmp_path, network, recipe="ddpm:sigma=learned"), atol=1e-5)


def test_more_outputs_than_one(tmp_path):
    network = make.network()
    network.graph.node.append(helper.make_node("Relu", ["out_sample"], ["more"]))
    network.graph.output.append(helper.make_tensor_value_info("more", FLOAT, ["batch", 1, 4, 4]))
    np.testing.assert_allclose(*both(tmp_path, network), atol=1e-5)


# ---------------------------------------------------------------- on the command line


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
        (["--schedule", "linear", "--recipe", "ddim"], 2, "the prediction is not said", "--prediction eps"),
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


def test_what_no_sampler_can_call(tmp_path):
    fixed = make.network(("sample", FLOAT, [3, 1, 4, 4]), T)
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    strange = make.of_nodes([node])
    strange.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for proto, cause in ((fixed, "batches of 3 only"), (strange, "uses Gelu of com.microsoft")):
        with pytest.raises(DtoolError, match=cause):
            both(tmp_path, proto)
        assert not (tmp_path / "app.onnx").exists()
