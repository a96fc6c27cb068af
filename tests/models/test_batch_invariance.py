"""An image depends on the others in its batch only if dtool says so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.batch_invariance import BatchWarning

SHAPE = (1, 4, 4)
SAID = {"schedule": "linear", "prediction": "eps"}


def statistics(x: Any, t: Any) -> Any:
    return 0.3 * (x - x.mean(axis=0))


def test_a_network_that_mixes_the_batch_is_run_an_image_at_a_time():
    net = dtool.network(statistics, shape=SHAPE)
    with pytest.warns(BatchWarning, match="mixes the images of a batch: each is run alone"):
        many = dtool.sample(net, "ddim", steps=3, n=8).x0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        for k in (0, 5):
            assert (dtool.sample(net, "ddim", steps=3, ids=[k]).x0[0] == many[k]).all()


def test_one_that_does_not_is_not_accused():
    def varied(x: Any, t: Any, label: Any) -> Any:
        return 0.3 * x.mean(axis=(1, 2, 3), keepdims=True) + label.reshape(-1, 1, 1, 1) + 0 * x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = dtool.network(varied, shape=SHAPE, classes=3)
        dtool.sample(net, "ddim", steps=2, n=3)
    assert net.mixes is False
    assert net.micro_batch > 1


def test_a_class_that_leaks_into_its_neighbours():
    net = dtool.network(lambda x, t, label: 0.1 * x + label.max(), shape=SHAPE, classes=3)
    with pytest.warns(BatchWarning):
        dtool.sample(net, "ddim", steps=2, n=3)


def test_likelihoods_and_measures_are_warned_of_it_too():
    from dtool.likelihood import bound

    with pytest.warns(BatchWarning):
        bound(dtool.network(statistics, shape=SHAPE), np.zeros((2, *SHAPE)), 2, variance="beta", levels=None)
    with pytest.warns(BatchWarning):
        dtool.measure_variance(dtool.network(statistics, shape=SHAPE), np.zeros((2, *SHAPE)), levels=1)


def test_a_module_that_uses_the_statistics_of_its_batch():
    torch = pytest.importorskip("torch")

    class Normed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(1, track_running_stats=False)

        def forward(self, x: Any, t: Any) -> Any:
            return self.norm(x)

    with pytest.warns(BatchWarning):
        dtool.sample(dtool.network(Normed(), shape=SHAPE), "ddim", steps=2, n=2)


def before(x: Any, t: Any) -> Any:
    """Each image, and a part of the one before it."""
    return 0.3 * x + 0.1 * np.concatenate([0 * x[:1], x[:-1]])


def summed(x: Any, t: Any) -> Any:
    return 0.3 * np.cumsum(x, axis=0)


def after(x: Any, t: Any) -> Any:
    return 0.3 * np.cumsum(x[::-1], axis=0)[::-1]


def early(x: Any, t: Any) -> Any:
    return x - (t < 200).reshape(-1, 1, 1, 1) * x.mean(axis=0)


def late(x: Any, t: Any) -> Any:
    return x - x.mean(axis=0) if t[0] > 900 else 0.5 * x


def told_once(x: Any, t: Any) -> Any:
    if (t != t[0]).any():
        raise ValueError("one time for all")
    return early(x, t)


def in_tens(x: Any, t: Any) -> Any:
    """In batches of ten or more alone."""
    return x - x.mean(axis=0) if len(x) >= 10 else 0.5 * x


@pytest.mark.parametrize("fn", [before, summed, after, early, late, told_once, in_tens])
def test_whoever_an_image_depends_on_and_whenever(fn):
    net = dtool.network(fn, shape=SHAPE)
    with pytest.warns(BatchWarning, match="each is run alone"):
        many = dtool.sample(net, "ddim", steps=6, n=12).x0
    for k in (0, 6, 11):
        assert (dtool.sample(net, "ddim", steps=6, ids=[k]).x0[0] == many[k]).all()


@pytest.mark.parametrize("of", ["max", "min", "mean"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_of_others_whichever_they_are(of, classes):
    net = dtool.network(lambda x, t, label: 0.1 * x + getattr(label, of)(), shape=SHAPE, classes=classes)
    with pytest.warns(BatchWarning, match="each is run alone"):
        dtool.sample(net, "ddim", steps=2, n=3)


def test_images_of_one_class_only():
    def seventh(x: Any, t: Any, label: Any) -> Any:
        return 0.5 * x - (label == 7).reshape(-1, 1, 1, 1) * x.mean(axis=0)

    with pytest.warns(BatchWarning, match="each is run alone"):
        dtool.sample(dtool.network(seventh, shape=SHAPE, classes=10), "ddim", steps=2, n=3)


@pytest.mark.parametrize("learned_variance", [False, True])
def test_a_guided_image_does_not_meet_itself_without_a_class(learned_variance):
    """At any scale the result of a linear network is what its two halves give alone."""

    def mixing(x: Any, t: Any, label: Any) -> Any:
        out = x + label.reshape(-1, 1, 1, 1) - x.mean(axis=0) - label.mean()
        return np.concatenate([out, 0 * out], axis=1) if learned_variance else out

    net = dtool.network(mixing, shape=SHAPE, classes=3, learned_variance=learned_variance)
    with pytest.warns(BatchWarning):
        plain = dtool.sample(net, "ddim", steps=4, n=3).x0
    assert (dtool.sample(net, "ddim", steps=4, n=3, guidance=2.0).x0 == plain).all()  # both halves are 0


def test_a_function_that_keeps_a_state_is_told_apart_from_one_that_mixes():
    calls = []

    def counting(x: Any, t: Any) -> Any:
        calls.append(len(x))
        return 0.5 * x + 0.01 * len(calls)

    net = dtool.network(counting, shape=SHAPE)
    with pytest.warns(BatchWarning, match="draws random numbers, or keeps a state"):
        dtool.sample(net, "ddim", steps=2, n=3)
    assert net.micro_batch > 1


def test_a_function_of_the_first_time_is_not_accused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = dtool.network(lambda x, t: x * float(t[0]) / 1000, shape=SHAPE)
        dtool.sample(net, "ddim", steps=2, n=3)
    assert net.mixes is False


# ONNX files


def file(path: Any, nodes: Any, weights: Any = (), batch: Any = "batch", opset: int = 15) -> Any:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import helper

    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, [batch, *SHAPE]), helper.make_tensor_value_info("t", kind, [batch])],
        [helper.make_tensor_value_info("y", kind, [batch, *SHAPE])],
        list(weights),
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def normed(path: Any, outputs: int = 1, opset: int = 15, **attributes: Any) -> Any:
    pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    names = ["scale", "shift", "mean", "variance"]
    weights = [numpy_helper.from_array(np.ones(1, np.float32), name) for name in names]
    made = ["y", "new_mean", "new_variance", "saved_mean", "saved_variance"][:outputs]
    node = helper.make_node("BatchNormalization", ["x", *names], made, **attributes)
    return file(path, [node], weights, opset=opset)


@pytest.mark.parametrize(("outputs", "opset", "training"), [(3, 15, 1), (1, 15, 1), (5, 9, None)])
def test_training_mode_is_refused_on_sight(outputs, opset, training, tmp_path):
    attributes = {} if training is None else {"training_mode": training}
    path = normed(tmp_path / "bn.onnx", outputs, opset, **attributes)
    with pytest.raises(dtool.DtoolError, match=r"is in training mode \(BatchNormalization\)"):
        dtool.load(path, spec=SAID, device="cpu")


@pytest.mark.parametrize("attributes", [{}, {"training_mode": 0}, {"epsilon": 1e-3}])
def test_what_was_learned_in_training_is_fine(attributes, tmp_path):
    net = dtool.load(normed(tmp_path / "bn.onnx", **attributes), spec=SAID, device="cpu")
    dtool.sample(net, "ddim", steps=2, n=3)
    assert net.mixes is False


def less_the_mean(path: Any, batch: Any = "batch") -> Any:
    pytest.importorskip("onnx")
    from onnx import helper

    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]), helper.make_node("Sub", ["x", "mean"], ["y"])]
    return file(path, nodes, batch=batch)


def test_a_file_of_small_images_that_subtracts_the_mean_of_its_batch(tmp_path):
    net = dtool.load(less_the_mean(tmp_path / "m.onnx"), spec=SAID, device="cpu")
    with pytest.warns(BatchWarning, match="each is run alone"):
        one = dtool.sample(net, "ddim", steps=3, n=1).x0
    assert (dtool.sample(net, "ddim", steps=3, n=8).x0[0] == one[0]).all()


def test_a_baked_batch_cannot_be_taken_apart(tmp_path):
    net = dtool.load(less_the_mean(tmp_path / "m.onnx", batch=4), spec=SAID, device="cpu")
    with pytest.warns(BatchWarning, match="an image is the same only among the same others"):
        dtool.sample(net, "ddim", steps=2, n=4)
    assert net.micro_batch == 4


def test_the_second_of_a_baked_pair_is_tried_out_too(tmp_path):
    pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    weights = [numpy_helper.from_array(np.array(0), "axis"), numpy_helper.from_array(np.float32(0.3), "share")]
    nodes = [helper.make_node("CumSum", ["x", "axis"], ["sum"]), helper.make_node("Mul", ["sum", "share"], ["y"])]
    net = dtool.load(file(tmp_path / "pair.onnx", nodes, weights, batch=2), spec=SAID, device="cpu")
    with pytest.warns(BatchWarning, match="an image is the same only among the same others"):
        dtool.sample(net, "ddim", steps=2, n=2)


def test_the_packages_own_network_is_not_tried_out():
    pytest.importorskip("onnxruntime")
    net = dtool.default_network(device="cpu")
    calls = []
    net.run_trial = net.predict = lambda *given: calls.append(given)  # type: ignore[method-assign]
    from dtool.models.batch_invariance import check_batch_invariance

    check_batch_invariance(net)
    assert calls == []


@pytest.mark.parametrize("check", [True, False])
def test_a_samplers_file_runs_each_image_alone(check, tmp_path):
    pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    weights = [numpy_helper.from_array(np.array([0]), "axes")]
    nodes = [helper.make_node("ReduceMean", ["x", "axes"], ["m"]), helper.make_node("Sub", ["x", "m"], ["y"])]
    path = file(tmp_path / "m.onnx", nodes, weights, opset=18)
    with pytest.warns(BatchWarning):
        dtool.export(path, tmp_path / "app.onnx", plan="ddim", steps=3, spec=SAID, check=check)
    net = dtool.load(tmp_path / "app.onnx", device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many = dtool.sample(net, n=9).x0
        assert (dtool.sample(net, ids=[8]).x0[0] == many[8]).all()
    with pytest.warns(BatchWarning):
        dtool.sample(net, n=9, batch_size=9)
    with pytest.raises(UsageError, match="runs each alone"):
        dtool.export(path, tmp_path / "two.onnx", plan="ddim", steps=3, spec=SAID, micro_batch=2)


def test_and_refuses_what_mixes_an_image_with_itself(tmp_path):
    pytest.importorskip("onnx")
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Mixing(torch.nn.Module):
        def forward(self, x: Any, t: Any, label: Any) -> Any:
            return x - x.mean(dim=0, keepdim=True) + 0 * t.reshape(-1, 1, 1, 1) + label.reshape(-1, 1, 1, 1)

    spec = dtool.NetworkSpec(shape=SHAPE, schedule="linear", classes=3)
    with pytest.warns(BatchWarning), pytest.raises(UsageError, match="this network mixes them"):
        dtool.export((Mixing(), spec), tmp_path / "app.onnx", plan="ddim", steps=3, guidance=2.0)
    with pytest.warns(BatchWarning):
        dtool.export((Mixing(), spec), tmp_path / "app.onnx", plan="ddim", steps=3)
    net = dtool.load(tmp_path / "app.onnx", device="cpu")
    assert dtool.sample(net, n=2).x0.shape == (2, *SHAPE)
    with pytest.raises(UsageError, match="its network mixes them"):
        dtool.sample(net, n=2, guidance=2.0)
