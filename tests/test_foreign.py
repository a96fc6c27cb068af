"""ONNX files of other people: what they are called with, what must be said of them, and why one is refused."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
from commandline import failed, ran

import dtool
from dtool.errors import DtoolError, UsageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import foreign as make  # noqa: E402 - after the check that onnx is there
from foreign import DOUBLE, FLOAT, HALF, INT32, INT64, answer, saved  # noqa: E402
from onnx import helper  # noqa: E402

SAID = {"schedule": "linear", "prediction": "eps"}
SHAPE = (1, 4, 4)


def twin(shape=SHAPE, **more):
    """The same function in numpy."""
    return dtool.network(answer, shape=shape, **more)


@pytest.mark.parametrize(
    ("x", "t"),
    [
        (("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, [])),
        (("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, [1])),
        (("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, ["batch"])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", INT32, ["N"])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", FLOAT, ["N"])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", FLOAT, [])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", DOUBLE, ["N", 1])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", FLOAT, ["N", 1, 1, 1])),
        (("x", DOUBLE, ["N", 1, 4, 4]), ("t", DOUBLE, [])),
        (("x", FLOAT, ["N", 1, 4, 4]), ("t", FLOAT, None)),
        (("x", FLOAT, [3, 1, 4, 4]), ("t", INT64, [3])),
        (("x", FLOAT, [1, 1, 4, 4]), ("t", FLOAT, [1])),
        (("x", FLOAT, [2, 1, 4, 4]), ("t", FLOAT, [1])),
    ],
    ids=lambda v: f"{v[0]} {v[1]} {v[2]}".replace("'", ""),
)
@pytest.mark.parametrize("seed", [0, 3])
def test_any_time_and_any_batch(x, t, seed, tmp_path):
    path = saved(make.network(x, t), tmp_path)
    net = dtool.load(path, device="cpu", spec=SAID)
    assert net.shape == SHAPE
    got = dtool.sample(net, "ddpm", n=5, steps=4, seed=seed)
    want = dtool.sample(twin(), "ddpm", n=5, steps=4, seed=seed)
    np.testing.assert_allclose(got.x0, want.x0, rtol=1e-4, atol=1e-5)


def test_half_precision(tmp_path):
    net = dtool.load(saved(make.network(("x", HALF, ["N", 6]), ("t", HALF, ["N"])), tmp_path), device="cpu", spec=SAID)
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    t = np.array([0, 3, 8], np.float32)
    got = net.predict(x, t)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, answer(x, t), atol=2e-3)


@pytest.mark.parametrize(
    ("label", "order"),
    [
        (("class_labels", INT64, ["batch"]), (0, 1, 2)),
        (("y", INT32, ["batch"]), (0, 1, 2)),
        (("class_labels", INT64, ["batch"]), (0, 2, 1)),
        (("class_labels", INT64, ["batch"]), (1, 2, 0)),
        (("y", INT64, ["batch"]), (2, 1, 0)),
    ],
)
@pytest.mark.parametrize("guidance", [1, 0, 2.5])
@pytest.mark.parametrize("batch", ["batch", 3])
def test_labels_are_told_from_times(label, order, guidance, batch, tmp_path):
    label = (*label[:2], [batch])
    proto = make.network(("sample", FLOAT, [batch, 1, 4, 4]), ("timestep", INT64, []), label, order=order)
    net = dtool.load(saved(proto, tmp_path), device="cpu", spec=SAID | {"classes": 7})
    got = dtool.sample(net, "ddim", n=5, steps=4, guidance=guidance)
    want = dtool.sample(twin(classes=7), "ddim", n=5, steps=4, guidance=guidance)
    np.testing.assert_allclose(got.x0, want.x0, rtol=1e-4, atol=1e-5)


def test_inputs_with_a_default_are_left_alone(tmp_path):
    proto = make.network()
    proto.graph.input.append(helper.make_tensor_value_info("slope", FLOAT, []))
    net = dtool.load(saved(proto, tmp_path), device="cpu", spec=SAID)
    np.testing.assert_allclose(
        dtool.sample(net, "ddim", n=2, steps=4).x0, dtool.sample(twin(), "ddim", n=2, steps=4).x0, atol=1e-5
    )


def test_times_between_whole_ones_are_rounded_and_said(tmp_path):
    net = dtool.load(saved(make.network(), tmp_path), device="cpu", spec=SAID)
    x = np.zeros((2, 1, 4, 4), np.float32)
    with pytest.warns(UserWarning, match="takes whole times only"):
        got = net.predict(x, np.full(2, 10.6, np.float32))
    np.testing.assert_allclose(got, answer(x, np.full(2, 11.0)), rtol=1e-5)
    with pytest.raises(DtoolError, match=r"takes one time for a whole batch \(timestep int64 \(\)\)"):
        net.predict(x, np.array([1, 2], np.float32))


def test_twice_the_channels_are_a_learned_variance(tmp_path):
    net = dtool.load(saved(make.network(doubled=True), tmp_path), device="cpu", spec=SAID)
    assert net.spec.learned_variance
    assert dtool.sample(net, "ddpm:sigma=learned", n=2, steps=3).x0.shape == (2, *SHAPE)


def test_what_is_said_is_what_it_is(tmp_path):
    said = {"schedule": "cosine", "prediction": "v", "data_range": (0.0, 1.0)}
    net = dtool.load(saved(make.network(), tmp_path), device="cpu", spec=said)
    assert (net.spec.schedule, net.prediction, net.spec.data_range) == ("cosine", "v", (0.0, 1.0))
    got = dtool.sample(net, "ddim", n=2, steps=5, clip=True)
    same = twin(schedule="cosine", prediction="v", data_range=(0.0, 1.0))
    np.testing.assert_allclose(got.x0, dtool.sample(same, "ddim", n=2, steps=5, clip=True).x0, atol=1e-5)


# ---------------------------------------------------------------- on the command line


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A foreign file in the working folder."""
    monkeypatch.chdir(tmp_path)
    saved(make.network(), tmp_path)
    return "foreign.onnx"


def test_the_command_of_the_issue(capsys, file):
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
        (["--schedule", "linear"], 2, "the prediction is not said", "--prediction eps"),
        (["--prediction", "eps"], 2, "the schedule is not said", "--schedule linear"),
        (["--num-classes", "3"], 2, "the schedule is not said", "--schedule"),
        (["--schedule", "lineer", "--prediction", "eps"], 2, "lineer", "did you mean linear"),
        (["--schedule", "linear", "--prediction", "epsilon"], 2, "'epsilon' is not one of", "--help"),
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
    with pytest.raises(UsageError, match=r"a class label \(y int64 \(batch\)\), and how many") as e:
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
    failed(result, 1, "net.pt: this is not a checkpoint of dtool", "package.module:factory")
    failed(ran(capsys, "sample", "a.b:c", "--prediction", "v"), 2, "a.b:c says itself", hint)
    failed(ran(capsys, "compare", "own.onnx", "ddim", "--shape", "1,4,4"), 2, "own.onnx says itself", hint)


# ---------------------------------------------------------------- what cannot be taken

TEXT = ("encoder_hidden_states", FLOAT, ["batch", 77, 768])


def refused(inputs, outputs=(("y", FLOAT, ["batch", 1, 4, 4]),)):
    """A file with these inputs and outputs, whose nodes do not matter."""
    values = [[helper.make_tensor_value_info(*v) for v in side] for side in (inputs, outputs)]
    nodes = [helper.make_node("Identity", [inputs[0][0]], [outputs[0][0]])]
    return make.model(nodes, *values)


X, T = ("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, [])


@pytest.mark.parametrize(
    ("inputs", "outputs", "cause"),
    [
        ([X], [X], "has the inputs sample; expected x, t"),
        (
            [X, T, TEXT],
            [X],
            "encoder_hidden_states is no class label (sample float32 (batch, 1, 4, 4); timestep int64 ()",
        ),
        ([X, T, T, T], [X], "has the inputs sample, timestep, timestep, timestep"),
        ([("sample", INT64, ["batch", 4]), T], [X], "has the inputs sample, timestep; expected x, t"),
        ([X, ("go", onnx.TensorProto.BOOL, [])], [X], "go is no time"),
        ([X, ("t", onnx.TensorProto.BFLOAT16, [])], [X], "t bf16 ()"),
        ([X, ("t", FLOAT, ["batch", 320])], [X], "t is no time"),
        ([X, T, ("scale", FLOAT, [])], [X], "scale is no class label"),
        ([X, ("t", FLOAT, [4])], [X], "their batches do not agree"),
        ([X, T, ("label", INT64, [1])], [X], "their batches do not agree"),
        ([X, T], [("y", INT64, ["batch", 1, 4, 4])], "has the outputs y int64 (batch, 1, 4, 4); none is like sample"),
        ([X, T], [("y", FLOAT, ["batch", 10])], "none is like sample float32 (batch, 1, 4, 4)"),
    ],
)
def test_other_inputs_and_outputs_are_refused(inputs, outputs, cause, tmp_path):
    with pytest.raises(DtoolError) as caught:
        dtool.load(saved(refused(inputs, outputs), tmp_path), spec=SAID)
    assert cause in str(caught.value)
    assert "dtool export" in caught.value.hint


def test_an_output_of_another_shape_is_found_at_the_first_call(tmp_path):
    out = [("y", FLOAT, ["batch", "c", 4, 4])]
    proto = refused([X, T], out)
    proto.graph.node[0].CopyFrom(helper.make_node("Concat", ["sample", "sample", "sample"], ["y"], axis=1))
    net = dtool.load(saved(proto, tmp_path), device="cpu", spec=SAID)
    with pytest.raises(DtoolError, match=r"returned shape \(32, 3, 4, 4\) for x of shape \(32, 1, 4, 4\)"):
        dtool.sample(net, "ddim", n=2, steps=2)


def test_a_sequence_is_no_input(tmp_path):
    proto = refused([X, T])
    sequence = helper.make_tensor_sequence_value_info("all", FLOAT, None)
    proto.graph.input.append(sequence)
    with pytest.raises(DtoolError, match="all is no class label"):
        dtool.load(saved(proto, tmp_path), spec=SAID)
