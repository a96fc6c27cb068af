"""Who takes part in a benchmark, and who is named as missing."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import dtool
from dtool.bench import bench
from dtool.bench.entrants import COMPILED, FROM_HOST, GRAPH
from dtool.bench.ways import BARE, BOUND, EAGER, EAGER_HOST, FUSED, HOST, ONE_BATCH
from dtool.models.runtime import Runtime
from tests.support.benchmarking import ON_CPU, ON_TORCH, group_timings, needs_onnx, needs_torch
from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small U-Net with random weights, as a file."""
    torch = pytest.importorskip("torch")
    from dtool.models.checkpoint import save
    from dtool.models.unet import UNet, UNetConfig

    torch.manual_seed(1)
    config = UNetConfig(channels=1, width=8, multipliers=(1,), classes=3)
    module = UNet(config)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    spec = dtool.NetworkSpec(shape=(1, 8, 8), schedule="linear", prediction="v", classes=3)
    return save(tmp_path_factory.mktemp("m") / "m.pt", spec=spec, config=config, state_dict=module.state_dict())


@needs_onnx
@needs_torch
def test_a_checkpoint_is_exported_and_pytorch_stands_beside_it(checkpoint):
    found = bench(dtool.load(checkpoint, device="cpu"), "dpmpp-2m", steps=4, batches=[2], rounds=2, source=checkpoint)
    assert found.backend == "onnxruntime"
    times = group_timings(found)
    assert {(name, 2) for name in (BARE, BOUND, HOST, FUSED, EAGER, EAGER_HOST)} <= times.keys()
    assert times[FUSED, 2].difference < 1e-4
    assert times[EAGER_HOST, 2].difference < 1e-4
    assert times[EAGER, 2].difference is None


@needs_torch
def test_it_stays_on_pytorch_if_that_was_asked_for(checkpoint):
    found = bench(dtool.load(checkpoint, device="cpu"), "ddim", steps=2, batches=[1], rounds=1, runtime=ON_TORCH)
    names = {t.name for t in found.timings}
    assert found.backend == "torch"
    assert not {FUSED, EAGER, EAGER_HOST} & names
    assert "the backend torch was asked for" in found.skipped["the fused file"]


@needs_torch
@pytest.mark.parametrize("backend", ["torch", pytest.param(None, marks=needs_onnx)])
def test_pytorch_compiled_takes_part_if_asked(monkeypatch, checkpoint, backend):
    import torch

    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **_: compiled.append(module) or module)
    net, runtime = dtool.load(checkpoint, device="cpu"), Runtime(backend=backend, compile=True)
    found = bench(net, "ddim", steps=3, batches=[2], rounds=1, source=checkpoint, runtime=runtime)
    assert group_timings(found)[COMPILED, 2].difference < 1e-4
    assert compiled == [net.module]


def test_who_cannot_be_asked_is_named(stub):
    found = bench(stub, "ddim", steps=2, batches=[1], rounds=1, runtime=Runtime(compile=True, cuda_graph=True))
    assert "only PyTorch compiles" in found.skipped[COMPILED]
    assert "the network is not on it" in found.skipped[GRAPH]
    assert FROM_HOST not in found.skipped


@needs_onnx
def test_a_graph_is_cuda_s(exported):
    net = dtool.load(exported, device="cpu")
    found = bench(net, "ddim", steps=2, batches=[1], rounds=1, source=exported, runtime=Runtime(cuda_graph=True))
    assert "it runs on CUDA alone" in found.skipped[GRAPH]


@needs_onnx
@needs_torch
def test_a_run_on_the_device_is_measured_beside_that_from_the_host(exported, monkeypatch):
    """As on a GPU, but for the device."""
    from dtool.run import onnxruntime_backend
    from dtool.run.onnxruntime_device import DeviceNetwork

    class Here(DeviceNetwork):
        """Says that it is elsewhere."""

        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            self.device = "cuda"

    honest = onnxruntime_backend.OnnxNetwork
    monkeypatch.setattr(onnxruntime_backend, "OnnxNetwork", lambda path, *_, **__: honest(path, runtime=ON_CPU))
    monkeypatch.setattr(
        "dtool.bench.entrants.open_source",
        lambda path, *_, **__: Here(onnxruntime_backend.read_checked_file(path), runtime=ON_CPU),
    )
    net = Here(onnxruntime_backend.read_checked_file(exported), runtime=ON_CPU)
    found = bench(
        net, "ddpm", steps=3, batches=[5], rounds=2, source=exported, runtime=Runtime(cuda_graph=True), guidance=1.5
    )
    times = group_timings(found)
    for name in (FROM_HOST, GRAPH):
        assert times[name, 5].difference < 1e-5
    assert {(BARE, 5), (BOUND, 5), (HOST, 5)} <= times.keys()
    assert all(timing.time.median > 0 for timing in times.values())


@needs_onnx
@needs_torch
def test_without_onnx_the_rest_is_measured(monkeypatch, checkpoint):
    whole = importlib.util.find_spec
    hidden = ("onnx", "diffusers")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in hidden else whole(name, *a))
    found = bench(dtool.load(checkpoint, device="cpu"), "ddim", steps=2, batches=[1], rounds=1)
    assert found.backend == "torch"
    assert {t.name for t in found.timings} == {BARE, ONE_BATCH, HOST} or {t.name for t in found.timings} == {BARE, HOST}
    assert "onnx is needed" in found.skipped["ONNX Runtime"]
    assert "onnx is needed" in found.skipped["the fused file"]
    assert "not installed" in found.skipped["diffusers"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tiny network in an ONNX file: F = x·t/1000 + label."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    floats, names = onnx.TensorProto.FLOAT, ["batch", 3]
    values = {"thousandth": np.full((1,), 1e-3, np.float32), "column": np.array([-1, 1])}
    nodes = [
        helper.make_node("Mul", ["t", "thousandth"], ["part"]),
        helper.make_node("Reshape", ["part", "column"], ["time"]),
        helper.make_node("Mul", ["x", "time"], ["scaled"]),
        helper.make_node("Cast", ["label"], ["number"], to=floats),
        helper.make_node("Reshape", ["number", "column"], ["class"]),
        helper.make_node("Mul", ["class", "thousandth"], ["small"]),
        helper.make_node("Add", ["scaled", "small"], ["output"]),
    ]
    inputs = [helper.make_tensor_value_info(n, floats, d) for n, d in (("x", names), ("t", ["batch"]))]
    inputs.append(helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["batch"]))
    outputs = [helper.make_tensor_value_info("output", floats, names)]
    initializers = [numpy_helper.from_array(v, name) for name, v in values.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    spec = dtool.NetworkSpec(shape=(3,), schedule="linear", classes=4)
    helper.set_model_props(model, {"dtool": json.dumps({"format": 1, "spec": json.loads(spec.model_dump_json())})})
    path = tmp_path_factory.mktemp("o") / "net.onnx"
    onnx.save(model, path)
    return path


@needs_onnx
@pytest.mark.parametrize("guidance", [None, 2.0])
@pytest.mark.parametrize("recipe", ["ddpm", "heun", "dpmpp-2m/karras"])
def test_the_fused_file_draws_the_same_images(exported, recipe, guidance):
    net = dtool.load(exported, device="cpu")
    batches = (1, 5)
    found = bench(net, recipe, steps=6, batches=batches, rounds=1, batch_size=2, guidance=guidance, source=exported)
    times = group_timings(found)
    assert found.skipped.keys() <= {"diffusers"}
    assert all(times[FUSED, n].difference < 1e-4 for n in batches)
    assert all((BOUND, n) in times for n in batches)


@needs_onnx
def test_a_sampler_s_file_is_taken_or_refused(exported, tmp_path, capsys):
    mine, other = tmp_path / "app.onnx", tmp_path / "other.onnx"
    dtool.export(exported, mine, plan="dpmpp-2m", steps=4, check=False)
    dtool.export(None, other, plan="ddim", steps=4, check=False)
    args = ("bench", exported, "ddim", "--steps", 3, "--batch", 2, "--rounds", 1, "--json")
    [fused] = [t for t in json.loads(ran(capsys, *args, "--fused", mine).out)["timings"] if t["name"] == FUSED]
    assert fused["difference"] < 1e-4
    failed(ran(capsys, *args, "--fused", other), 2, "draws samples of shape (1, 28, 28)", "the network that the file")
    failed(ran(capsys, *args, "--fused", exported), 2, "holds a network alone", "dtool export --recipe")
    failed(ran(capsys, *args, "--fused", tmp_path / "none.onnx"), 1, "there is no file")
    failed(ran(capsys, "bench", mine), 2, "holds a whole sampler", "--fused")
