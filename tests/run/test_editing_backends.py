"""Edited runs of one network on numpy, PyTorch, ONNX Runtime and in a sampler's file, number by number."""

import numpy as np
import pytest

import dtool
from dtool.models.spec import NetworkSpec

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from onnx import helper  # noqa: E402

from dtool.export.metadata import describe  # noqa: E402
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402

SHAPE, STEPS = (2, 5, 4), 9
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_normal(SHAPE).astype(np.float32)
IMAGE = RANDOM.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)
DRAWN = (RANDOM.permutation(20) % 2).reshape(1, 5, 4)
SPEC = {"shape": SHAPE, "schedule": "linear", "prediction": "v", "clip": True}


def on_numpy(x, t):
    return np.tanh(x * WEIGHT + np.float32(1e-3) * t.reshape(-1, 1, 1, 1))


class OnTorch(torch.nn.Module):
    def forward(self, x, t):
        return torch.tanh(x * torch.from_numpy(WEIGHT) + 1e-3 * t.reshape(-1, 1, 1, 1))


def write(path):
    graph = GraphBuilder("net")
    time = graph("Mul", graph("Reshape", "t", graph.ints(-1, 1, 1, 1)), graph.constant(1e-3, np.float32))
    scaled = graph("Mul", "x", graph.constant(WEIGHT, np.float32))
    graph("Tanh", graph("Add", scaled, time), name="output")
    x, t = make_value_info("x", np.float32, ["batch", *SHAPE]), make_value_info("t", np.float32, ["batch"])
    built = graph.build([x, t], [make_value_info("output", np.float32, ["batch", *SHAPE])])
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    describe(model, NetworkSpec(**SPEC))
    onnx.save(model, path)
    return dtool.load(path, device="cpu")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {
        "numpy": dtool.network(on_numpy, **SPEC),
        "torch": dtool.load(OnTorch(), spec=NetworkSpec(**SPEC), device="cpu"),
        "onnxruntime": write(folder / "net.onnx"),
    }


@pytest.mark.parametrize("strength", [0.4, 1])
@pytest.mark.parametrize(
    "recipe", ["ddim", "ddpm", "heun", "dpmpp-2m-sde", "unipc", "ddpm/repaint:jump_length=2,jump_n=2"]
)
def test_every_backend_gives_the_same_numbers(recipe, strength, networks, tmp_path):
    inputs = ("image", "mask", "strength")
    source = tmp_path / "net.onnx"
    write(source)
    dtool.export(source, tmp_path / "app.onnx", plan=recipe, steps=STEPS, inputs=inputs, check=False)
    every = networks | {"file": dtool.load(tmp_path / "app.onnx", device="cpu")}
    assert [network.backend for network in every.values()] == ["numpy", "torch", "onnxruntime", "onnxruntime"]
    for mask in (None, DRAWN) if strength < 1 else (DRAWN,):
        edit = {"image": IMAGE, "mask": mask, "strength": strength, "seed": 6, "steps": STEPS, "trace": True}
        runs = {name: dtool.sample(network, recipe, **edit) for name, network in every.items()}
        first = runs.pop("numpy")
        for name, run in runs.items():
            np.testing.assert_allclose(run.x0, first.x0, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(run.trace.x, first.trace.x, atol=1e-5, err_msg=name)
            if mask is not None:
                assert ((np.asarray(run.x0) == IMAGE) | (DRAWN == 1)).all()
