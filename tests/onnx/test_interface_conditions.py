"""ONNX files with further inputs: texts, images, numbers; which is x, which the time, and which are conditions."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import Condition
from dtool.models.description import Description

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

from dtool.onnx.inspection import inspect  # noqa: E402
from dtool.onnx.interface import identify_inputs, make_condition  # noqa: E402
from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import FLOAT, HALF, INT64, SAID, saved  # noqa: E402

BOOL = onnx.TensorProto.BOOL
SHAPE = (2, 4, 4)
X, T = ("sample", FLOAT, ["b", *SHAPE]), ("timestep", FLOAT, [])
TEXT, IMAGE = ("encoder_hidden_states", FLOAT, ["b", "length", 3]), ("image", FLOAT, ["b", 1, 4, 4])
SCALE, STRENGTH = ("guidance", FLOAT, ["b"]), ("strength", FLOAT, [])


def network(kind=FLOAT):
    """0.5·x + mean(text)/10 + image/5 + guidance/100 + strength; the time is only heard. Inputs in an odd order."""
    inputs = [IMAGE, TEXT, SCALE, (T[0], FLOAT, []), (X[0], kind, X[2]), STRENGTH]
    node, weights = helper.make_node, {"half": 0.5, "tenth": 0.1, "fifth": 0.2, "hundredth": 0.01, "zero": 0.0}
    nodes = [
        node("Cast", ["sample"], ["x32"], to=FLOAT),
        node("Mul", ["x32", "half"], ["a"]),
        node("ReduceMean", ["encoder_hidden_states", "axes"], ["mean"], keepdims=1),
        node("Reshape", ["mean", "column"], ["mean4"]),
        node("Mul", ["mean4", "tenth"], ["b0"]),
        node("Mul", ["image", "fifth"], ["c0"]),
        node("Reshape", ["guidance", "column"], ["scale4"]),
        node("Mul", ["scale4", "hundredth"], ["d0"]),
        node("Mul", ["timestep", "zero"], ["e0"]),
        *(node("Add", [one, two], [out]) for one, two, out in (
            ("a", "b0", "s1"), ("s1", "c0", "s2"), ("s2", "d0", "s3"), ("s3", "e0", "s4"), ("s4", "strength", "s5")
        )),
        node("Cast", ["s5"], ["out"], to=kind),
    ]  # fmt: skip
    tensors = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(np.array(v), n) for n, v in (("axes", [1, 2]), ("column", [-1, 1, 1, 1]))]
    values = [helper.make_tensor_value_info(*one) for one in inputs]
    return make.model(nodes, values, [helper.make_tensor_value_info("out", kind, X[2])], tensors)


def twin(x, t, encoder_hidden_states, image, guidance, strength):
    text = encoder_hidden_states.mean((1, 2))
    out = 0.5 * x + 0.2 * image + (0.1 * text + 0.01 * guidance + strength)[:, None, None, None]
    return out.astype(np.float32)


CONDITIONS = (
    Condition(name="image", shape=(1, 4, 4)),
    Condition(name="encoder_hidden_states", shape=(None, 3)),
    Condition(name="guidance"),
    Condition(name="strength"),
)
RANDOM = np.random.default_rng(0)
GIVEN = {
    "image": RANDOM.standard_normal((5, 1, 4, 4)).astype(np.float32),
    "encoder_hidden_states": RANDOM.standard_normal((5, 7, 3)).astype(np.float32),
    "guidance": np.array([1, 2, 3, 4, 5], np.float32),
    "strength": np.float32(0.25),
}


@pytest.mark.parametrize("kind", [FLOAT, HALF])
@pytest.mark.parametrize("guidance", [1, 3])
def test_further_inputs_are_conditions(kind, guidance, tmp_path):
    net = dtool.load(saved(network(kind), tmp_path), device="cpu", spec=SAID)
    assert net.spec.conditions == CONDITIONS
    other = dtool.network(twin, shape=SHAPE, conditions=CONDITIONS)
    more = (
        {"without": {"encoder_hidden_states": np.zeros((7, 3), np.float32)}, "guidance": guidance}
        if guidance > 1
        else {}
    )
    got, want = (dtool.sample(one, "ddim", n=5, steps=4, conditions=GIVEN, **more).x0 for one in (net, other))
    largest = np.abs(want).max()
    np.testing.assert_allclose(got, want, atol=largest * (1e-5 if kind == FLOAT else 3e-2))


def test_one_number_for_the_whole_batch(tmp_path):
    net = dtool.load(saved(network(), tmp_path), device="cpu", spec=SAID)
    given = {**GIVEN, "strength": np.array([0, 0, 0, 0, 1], np.float32)}
    with pytest.raises(DtoolError, match=r"takes one strength for a whole batch \(strength float32 \(\)\)") as caught:
        dtool.sample(net, "ddim", n=5, steps=2, conditions=given)
    assert caught.value.hint == "give equal numbers"


def test_a_condition_of_another_shape_or_none(tmp_path):
    net = dtool.load(saved(network(), tmp_path), device="cpu", spec=SAID)
    bad = {**GIVEN, "image": np.zeros((5, 3, 4, 4), np.float32)}
    with pytest.raises(UsageError, match=r"image has shape \(5, 3, 4, 4\) for 5 images; the network takes image"):
        dtool.sample(net, "ddim", n=5, steps=2, conditions=bad)
    with pytest.raises(UsageError, match=r"needs image float32 \(1, 4, 4\) for each image"):
        dtool.sample(net, "ddim", n=5, steps=2)


def test_the_null_value_is_the_users_to_say(tmp_path):
    path = saved(network(), tmp_path)
    null = Condition(name="encoder_hidden_states", shape=(None, 3), null=0.0)
    net = dtool.load(path, device="cpu", spec=SAID | {"conditions": [null]})
    assert net.spec.conditions == (CONDITIONS[0], null, *CONDITIONS[2:])
    wrong = {
        "takes the conditions": {"name": "other"},
        r"takes image float32 \(1, 4, 4\), which is described as image float32 \(3, 4, 4\)": {
            "name": "image",
            "shape": (3, 4, 4),
        },
    }
    for cause, described in wrong.items():
        with pytest.raises(DtoolError, match=cause):
            dtool.load(path, device="cpu", spec=SAID | {"conditions": [described]})


def identify(*inputs, conditions=(), outputs=(X,)):
    """(x, t, label, the others) by name."""
    values = [[helper.make_tensor_value_info(*v) for v in side] for side in (inputs, outputs)]
    proto = make.model([helper.make_node("Identity", [inputs[0][0]], [outputs[0][0]])], *values)
    found = identify_inputs(inspect(proto.SerializeToString(), "f.onnx"), "f.onnx", conditions)
    return found.x.name, found.t.name, found.label and found.label.name, [make_condition(v).name for v in found.others]


def test_which_is_which():
    label, level = ("class_labels", INT64, ["b"]), ("augmentation", FLOAT, ["b"])
    ids, mask = ("time_ids", FLOAT, ["b", 6]), ("attention_mask", BOOL, ["b", 77])
    noisy, low = ("noisy_one", FLOAT, ["b", *SHAPE]), ("low", FLOAT, ["b", 3, 4, 4])
    sigma, t2 = ("sigma", FLOAT, ["b"]), ("t", FLOAT, ["b"])
    assert identify(X, T, TEXT) == ("sample", "timestep", None, ["encoder_hidden_states"])
    assert identify(TEXT, T, noisy) == ("noisy_one", "timestep", None, ["encoder_hidden_states"])
    assert identify(X, level, sigma) == ("sample", "sigma", None, ["augmentation"])
    assert identify(X, level, T, label, ids, mask) == (
        "sample", "timestep", "class_labels", ["augmentation", "time_ids", "attention_mask"]
    )  # fmt: skip
    assert identify(low, X, T) == ("sample", "timestep", None, ["low"])
    assert identify(noisy, low, t2, conditions=["low"]) == ("noisy_one", "t", None, ["low"])
    assert identify(noisy, t2, ("1/bad name", FLOAT, ["b"])) == ("noisy_one", "t", None, ["_1/bad_name"])
    assert identify(X, t2, ("x", FLOAT, ["b", 5])) == ("sample", "t", None, ["_x"])


def test_what_nothing_tells_apart_is_asked():
    one, two = ("one", FLOAT, ["b", *SHAPE]), ("two", FLOAT, ["b", *SHAPE])
    with pytest.raises(UsageError, match=r"one float32 .* and two float32 .* may each be the noisy sample") as caught:
        identify(one, two, T)
    assert caught.value.hint == "say what the others are, e.g. spec={'conditions': [{'name': 'two', 'shape': …}]}"
    assert identify(one, two, T, conditions=["one"])[0] == "two"
    with pytest.raises(UsageError, match=r"p float32 \(b\) and q float32 \(b\) may each be the time"):
        identify(X, ("p", FLOAT, ["b"]), ("q", FLOAT, ["b"]))
    assert identify(X, ("p", FLOAT, ["b"]), ("q", FLOAT, ["b"]), conditions=["p"])[1] == "q"


def test_metadata_of_its_own_that_makes_no_sense(tmp_path):
    proto = network()
    for spec in ('{"conditions": 3}', '{"conditions": [3]}', "7", "null"):
        helper.set_model_props(proto, {"dtool": f'{{"spec": {spec}}}'})
        with pytest.raises(DtoolError):
            dtool.load(saved(proto, tmp_path))
    assert Description().is_empty
