"""An image depends on the others in its batch only if dtool says so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.networks.batch_invariance import BatchWarning

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


def test_the_packages_own_network_is_not_tried_out():
    pytest.importorskip("onnxruntime")
    net = dtool.default_network(device="cpu")
    calls = []
    net.trial = net.predict = lambda *given: calls.append(given)  # type: ignore[method-assign]
    from dtool.networks.batch_invariance import require_examined

    require_examined(net)
    assert calls == []
