"""Other people's networks become samplers' files, called as a sampler calls."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import DOUBLE, FLOAT, HALF, INT32, INT64, saved  # noqa: E402

SAID = {"schedule": "linear", "prediction": "eps"}
X, T = ("sample", FLOAT, ["batch", 1, 4, 4]), ("timestep", INT64, [])
# The levels of karras lie between whole times, which a whole input rounds.
pytestmark = pytest.mark.filterwarnings("ignore:the network takes whole times")


def both(folder, proto, said=SAID, recipe="ddim/karras", steps=7, **more):
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
    host, file = both(tmp_path, network, recipe="ddim")  # at times that half precision has
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


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A foreign file in the working folder."""
    monkeypatch.chdir(tmp_path)
    saved(make.network(), tmp_path)
    return "foreign.onnx"


def test_what_no_sampler_can_call(tmp_path):
    fixed = make.network(("sample", FLOAT, [3, 1, 4, 4]), T)
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    strange = make.of_nodes([node])
    strange.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    for proto, cause in ((fixed, "batches of 3 only"), (strange, "uses Gelu of com.microsoft")):
        with pytest.raises(DtoolError, match=cause):
            both(tmp_path, proto)
        assert not (tmp_path / "app.onnx").exists()
