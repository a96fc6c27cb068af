"""`dtool bench`: who takes part, that all do the same work, and what is said of the figures."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from commandline import failed, network, plain_environment, ran

import dtool
from dtool.bench import bench
from dtool.bench.contest import BARE, BOUND, EAGER, EAGER_HOST, FUSED, HOST, ONE_BATCH, Way
from dtool.bench.entrants import COMPILED, FROM_HOST, GRAPH
from dtool.bench.result import Benchmark, Timing
from dtool.errors import UsageError

ROOT = Path(__file__).parents[1]
INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("diffusers", "torch", "onnx", "onnxruntime")}
SHORT = ("--steps", 2, "--rounds", 1)
needs_onnx = pytest.mark.skipif(not (INSTALLED["onnx"] and INSTALLED["onnxruntime"]), reason="needs onnx, onnxruntime")
needs_torch = pytest.mark.skipif(not INSTALLED["torch"], reason="needs torch")
needs_diffusers = pytest.mark.skipif(not (INSTALLED["diffusers"] and INSTALLED["torch"]), reason="needs diffusers")


@pytest.fixture(autouse=True)
def unsettled(monkeypatch):
    """Nobody's time matters here."""
    monkeypatch.setattr("dtool.bench.run.SETTLE", 0)
    monkeypatch.setattr("dtool.bench.run.TURN", 0)


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    net = network()
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": net)
    monkeypatch.chdir(tmp_path)
    return net


# ---------------------------------------------------------------------------------------------- all together


def _times(found: Benchmark) -> dict[tuple[str, int], Timing]:
    return {(t.name, t.batch): t for t in found.timings}


def test_everyone_at_every_batch_and_the_ratios_are_of_one_round(stub):
    told = []
    found = bench(stub, "ddpm", steps=3, batches=(1, 4), rounds=3, batch_size=2, progress=lambda *a: told.append(a))
    times = _times(found)
    for n in (1, 4):
        assert {(BARE, n), (ONE_BATCH, n), (HOST, n)} <= times.keys()
        reference = times[found.reference, n].seconds
        for (_, batch), timing in times.items():
            if batch == n:
                assert len(timing.seconds) == 3
                assert timing.ratios == pytest.approx([a / b for a, b in zip(timing.seconds, reference, strict=True)])
                assert timing.images_per_second == pytest.approx(n / sorted(timing.seconds)[1])
    assert found.reference == BARE
    assert BOUND not in {t.name for t in found.timings}  # arrays need no binding
    assert "cannot be exported" in found.skipped["the fused file"]
    assert (found.calls, found.images_at_a_time, found.device) == (3, 2, "cpu")
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == len(times) // 2 * (1 + 4) * 4


def test_all_make_as_many_network_calls(monkeypatch):
    calls = []
    inner = network()

    def fn(x, t, label):
        calls.append(len(x))
        return inner.fn(x, t, label)

    counting = type(inner)(fn, inner.spec)
    counting.ours = True  # whether it mixes images is not tried out
    monkeypatch.setattr("dtool.bench.entrants.installed", lambda: False)
    for guidance, rows in ((None, 2), (1.5, 4)):
        calls.clear()
        bench(counting, "heun", steps=3, batches=[5], rounds=1, batch_size=2, guidance=guidance)
        own = dtool.plan("heun", steps=3).rows
        # bare and dtool.sample in three micro-batches, one batch at once; each once to warm up and once timed; and the
        # bare one twice before, to see how long it takes
        bare = 3 * own * [rows]
        assert sorted(calls) == sorted(2 * (2 * bare + own * [5 * rows // 2]) + 2 * bare)


def test_short_runs_are_repeated(stub, monkeypatch):
    runs = Counter()
    monkeypatch.setattr("dtool.bench.run.TURN", 1e9)
    monkeypatch.setattr("dtool.bench.run.MOST", 3)
    monkeypatch.setattr("dtool.bench.entrants.installed", lambda: False)
    found = [Way(name, partial(runs.update, [name]), partial(runs.update, [name + "!"])) for name in "ab"]
    monkeypatch.setattr("dtool.bench.run.ways", lambda *_: found)
    monkeypatch.setattr("dtool.bench.run._differences", lambda *_: dict.fromkeys("ab"))
    times = bench(stub, "ddim", steps=2, batches=[4], rounds=5).timings
    assert (runs["a"], runs["b"]) == (2 + 3 * 5, 3 * 5), "two more of the reference, to see how long it takes"
    assert runs["a!"] == runs["b!"] == 3 * 5, "prepared before every run"
    assert [len(t.seconds) for t in times] == [5, 5]


EQUAL = ["ddim", "ddim/leading", "dpmpp-2m", "dpmpp-2m:variant=heun"]


@needs_diffusers
@pytest.mark.parametrize("guidance", [None, 2.0])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("recipe", EQUAL)
def test_diffusers_draws_the_same_images(recipe, clip, guidance):
    found = bench(network(), recipe, steps=20, batches=[3], rounds=1, clip=clip, guidance=guidance)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference is not None
    assert timing.difference < 2e-4
    assert any("without clipping" in note for note in found.notes) == (clip and recipe.startswith("dpmpp"))


@needs_diffusers
@pytest.mark.parametrize("prediction", ["x0", "v"])
@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m"])
def test_and_so_it_does_for_networks_that_predict_otherwise(recipe, prediction):
    def fn(x, t):
        return 0.5 * np.tanh(x) + 0.1 * np.sin(x + t[:, None] / 300)

    found = bench(dtool.network(fn, shape=(6,), prediction=prediction), recipe, steps=10, batches=[4], rounds=1)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference < 1e-4


@needs_diffusers
@pytest.mark.parametrize("recipe", ["ddpm", "ddpm:sigma=beta", "ddim:eta=0.5", "dpmpp-2m-sde", "dpmpp-2m/karras"])
def test_with_noise_of_its_own_nothing_is_compared(recipe):
    found = bench(network(), recipe, steps=4, batches=[2], rounds=2)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert (timing.difference is None) == (recipe != "dpmpp-2m/karras")
    assert len(timing.seconds) == 2


@needs_diffusers
@needs_torch
def test_diffusers_runs_on_tensors_where_the_network_does():
    from dtool.backends.torch_backend import TorchNetwork

    def fn(x, t, label):
        return 0.3 * x + 0.01 * (t + label)[:, None]

    spec = dtool.NetworkSpec(shape=(5,), schedule="linear", classes=3)
    found = bench(TorchNetwork(fn, spec, "cpu"), "ddim", steps=10, batches=[4], rounds=1, guidance=3.0, backend="torch")
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference < 1e-3
    assert found.backend == "torch"


def test_images_that_are_others_are_noted(monkeypatch, stub):
    far = type(stub)(lambda x, t, label: stub.fn(x, t, label) + 0.3, stub.spec)
    monkeypatch.setattr("dtool.bench.entrants._exported", lambda *_, **__: far)
    found = bench(stub, "ddim", steps=5, batches=[2], rounds=1)
    assert _times(found)[FUSED, 2].difference > 0.01
    assert any(note.startswith("fused file: its images are up to") for note in found.notes)


# ---------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small U-Net with random weights, as a file."""
    torch = pytest.importorskip("torch")
    from dtool.networks.checkpoint import save
    from dtool.networks.unet import UNet, UNetConfig

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
    times = _times(found)
    assert {(name, 2) for name in (BARE, BOUND, HOST, FUSED, EAGER, EAGER_HOST)} <= times.keys()
    assert times[FUSED, 2].difference < 1e-4
    assert times[EAGER_HOST, 2].difference < 1e-4
    assert times[EAGER, 2].difference is None


@needs_torch
def test_it_stays_on_pytorch_if_that_was_asked_for(checkpoint):
    found = bench(dtool.load(checkpoint, device="cpu"), "ddim", steps=2, batches=[1], rounds=1, backend="torch")
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
    net = dtool.load(checkpoint, device="cpu")
    found = bench(net, "ddim", steps=3, batches=[2], rounds=1, backend=backend, source=checkpoint, compile=True)
    assert _times(found)[COMPILED, 2].difference < 1e-4
    assert compiled == [net.module]


def test_who_cannot_be_asked_is_named(stub):
    found = bench(stub, "ddim", steps=2, batches=[1], rounds=1, compile=True, cuda_graph=True)
    assert "only PyTorch compiles" in found.skipped[COMPILED]
    assert "the network is not on it" in found.skipped[GRAPH]
    assert FROM_HOST not in found.skipped


@needs_onnx
def test_a_graph_is_cuda_s(exported):
    net = dtool.load(exported, device="cpu")
    found = bench(net, "ddim", steps=2, batches=[1], rounds=1, source=exported, cuda_graph=True)
    assert "it runs on CUDA alone" in found.skipped[GRAPH]


@needs_onnx
@needs_torch
def test_a_run_on_the_device_is_measured_beside_that_from_the_host(exported, monkeypatch):
    """As on a GPU, but for the device."""
    from dtool.backends import onnxruntime_backend
    from dtool.backends.onnx_device import DeviceNetwork

    class Here(DeviceNetwork):
        """Says that it is elsewhere."""

        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            self.device = "cuda"

    honest = onnxruntime_backend.OnnxNetwork
    monkeypatch.setattr(onnxruntime_backend, "OnnxNetwork", lambda path, *_, **__: honest(path, device="cpu"))
    monkeypatch.setattr(
        "dtool.bench.entrants.load", lambda path, **where: Here(onnxruntime_backend.checked(path), device="cpu")
    )
    net = Here(onnxruntime_backend.checked(exported), device="cpu")
    found = bench(net, "ddpm", steps=3, batches=[5], rounds=2, source=exported, cuda_graph=True, guidance=1.5)
    times = _times(found)
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
    times = _times(found)
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


@needs_onnx
def test_the_package_s_network_beside_its_fused_file(capsys):
    result = ran(
        capsys, "bench", "dpmpp-2m", "--steps", 2, "--batch", "1,2", "--rounds", 1, "--device", "cpu", "--json"
    )
    found = json.loads(result.out)
    fused = [t for t in found["timings"] if t["name"] == FUSED]
    assert [t["batch"] for t in fused] == [1, 2]
    assert max(t["difference"] for t in fused) < 1e-4
    assert found["machine"]["versions"]["onnxruntime"]
    assert found["device"] == "cpu"


# ---------------------------------------------------------------------------------------------- the command


def test_the_table_on_a_pipe(capsys, stub):
    result = ran(capsys, "bench", "ddpm", *SHORT, "--batch", "1,3")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["date", "machine", "versions", "load"]
    head = next(i for i, line in enumerate(lines) if line.startswith("batch "))
    assert lines[head].split() == ["batch", "way", "ms", "quartiles", "images/s", "ratio", "quartiles", "differs", "by"]
    ways = [re.split(r"  +", line)[:2] for line in lines[head + 1 :]]
    assert ["batch 1", HOST] in ways
    assert ["batch 3", BARE] in ways
    assert "without the fused file: a FunctionNetwork cannot be exported" in result.err
    assert f"ratio: to the {BARE}" in result.err


def test_json_and_quiet(capsys, stub):
    result = ran(capsys, "bench", *SHORT, "--batch", 2, "--guidance", 1.5, "--json", "-q")
    found = json.loads(result.out)
    assert result.err == ""
    assert (found["recipe"], found["steps"], found["guidance"], found["rounds"]) == ("ddim", 2, 1.5, 1)
    assert {t["name"] for t in found["timings"]} >= {BARE, HOST}
    for timing in found["timings"]:
        assert timing["seconds"].keys() == timing["ratio"].keys() == {"low", "median", "high"}
        assert len(timing["rounds"]) == 1


@pytest.mark.parametrize("name", ["figures.md", "figures.json"])
def test_a_file_of_it(capsys, stub, tmp_path, name):
    result = ran(capsys, "bench", *SHORT, "--batch", 1, "-o", name, "-q")
    assert result.out.splitlines()[-1] == name
    text = Path(name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        assert json.loads(text)["reference"] == BARE
    else:
        assert f"| 1 | {HOST} |" in text
        assert text.startswith("- date: ")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("args", "code", "cause", "hint"),
    [
        (["ddmp"], 2, "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["missing.pt"], 1, "there is no file missing.pt", ""),
        (["ddim", "--batch", "0"], 2, "--batch 0: not a list of whole numbers from 1", "10,20,50"),
        (["ddim", "--batch", "4,x"], 2, "--batch 4,x", "10,20,50"),
        (["ddim", "--steps", "0"], 2, "'--steps'", ""),
        (["ddim", "--steps", "2000"], 2, "2000 steps cannot be had", "1 to 1000"),
        (["ddim", "--rounds", "0"], 2, "'--rounds'", ""),
        (["ddim", "--batch-size", "0"], 2, "'--batch-size'", ""),
        (["ddim", "--guidance", "-1"], 2, "'--guidance'", ""),
        (["ddim-inversion"], 2, "ddim-inversion leads from an image to its noise", "time another"),
        (["ddpm:sigma=learned"], 2, "takes the variance of its noise from the network", "sigma=tilde"),
        (["ddim", "-o", "figures.txt"], 2, "figures.txt: neither Markdown nor JSON", ".md or .json"),
        (["ddim", "-o", "no/figures.md"], 1, "can't be written", "folder"),
        (["ddim", "--sigma", "beta"], 2, "dtool bench has no option --sigma", ""),
        (["ddim", "--fused", "none.onnx"], 1, "there is no file none.onnx", ""),
    ],
)
def test_what_cannot_be_measured_is_refused(capsys, stub, tmp_path, args, code, cause, hint):
    failed(ran(capsys, "bench", *args), code, cause, hint)
    assert list(tmp_path.iterdir()) == []


def test_guidance_needs_classes(capsys, monkeypatch):
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": dtool.network(lambda x, t: x, shape=(3,)))
    failed(ran(capsys, "bench", "--guidance", 2), 2, "guidance needs a conditional network", "leave out guidance")


@pytest.mark.parametrize("arguments", [{"batches": []}, {"batches": [0]}, {"rounds": 0}, {"batch_size": 0}])
def test_nothing_to_time(arguments):
    with pytest.raises(UsageError, match="nothing to time"):
        bench(network(), "ddim", **arguments)


def test_an_interruption_leaves_nothing(capsys, monkeypatch, tmp_path):
    inner, left = network(), [5]

    def fn(x, t, label):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return inner.fn(x, t, label)

    monkeypatch.setattr(dtool, "default_network", lambda device="auto": type(inner)(fn, inner.spec))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    failed(ran(capsys, "bench", *SHORT, "--batch", 3, "-o", "figures.md"), 130, "interrupted")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- the scripts


@pytest.mark.skipif(not INSTALLED["onnxruntime"], reason="needs onnxruntime")
@pytest.mark.parametrize(
    ("script", "args", "wanted"),
    [
        ("overhead.py", ["--rounds", "1", "--steps", "2"], r"side by side \d"),
        ("cold_start.py", ["--rounds", "1", "--diffusers-python", "/bin/false"], r"dtool sample +\d"),
    ],
)
def test_the_scripts_in_benchmarks_run(script, args, wanted):
    command = [sys.executable, str(ROOT / "benchmarks" / script), *args]
    done = subprocess.run(command, capture_output=True, text=True, env=plain_environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(wanted, done.stdout)
    assert "versions" in done.stdout
