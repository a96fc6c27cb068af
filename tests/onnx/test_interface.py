"""ONNX files of other people: what they are called with, and why one is refused."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import DOUBLE, FLOAT, HALF, INT32, INT64, SAID, SHAPE, answer, saved, twin  # noqa: E402


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
            [X, T, ("text", FLOAT, None)],
            [X],
            "text is no condition (sample float32 (batch, 1, 4, 4); timestep int64 ()",
        ),
        ([X, T, ("ids", onnx.TensorProto.UINT8, ["batch"])], [X], "ids is no condition"),
        ([X, T, T, T], [X], "has the inputs sample, timestep, timestep, timestep"),
        ([("sample", INT64, ["batch", 4]), T], [X], "has the inputs sample, timestep; expected x, t"),
        ([X, ("go", onnx.TensorProto.BOOL, [])], [X], "go is no time"),
        ([X, ("t", onnx.TensorProto.BFLOAT16, [])], [X], "t bf16 ()"),
        ([X, ("t", FLOAT, ["batch", 320])], [X], "t is no time"),
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
    with pytest.raises(DtoolError, match="all is no condition"):
        dtool.load(saved(proto, tmp_path), spec=SAID)
