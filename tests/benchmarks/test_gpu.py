"""benchmarks/gpu.py, as far as a machine without a GPU can tell: on the CPU it runs, and its checks can fail."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from tests.support.places import BENCHMARKS

pytest.importorskip("onnxruntime")


SHORT = ("--device", "cpu", "--steps", "2", "--batch", "1", "--rounds", "1", "--pixels", "8", "--recipes", "ddim")


@pytest.fixture
def suite(monkeypatch):
    """The scripts as modules."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gpu
    import gpu_checks

    return SimpleNamespace(gpu=gpu, checks=gpu_checks)


def small(suite, tmp_path, network, **more):
    """A suite whose network, on every device, is `network`."""
    made = suite.checks.Suite(tmp_path / "none.onnx", "cpu", tmp_path, steps=3, **more)
    made.__dict__ |= {"here": network, "there": network}
    return made


def test_the_whole_suite_on_the_cpu_claims_nothing_of_a_gpu(suite, monkeypatch, tmp_path, capsys):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 100 MiB, 555.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    path = tmp_path / "cpu.md"
    assert suite.gpu.main([*SHORT, "-o", str(path)]) == 0, capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# On the CPU: a trial of the suite, no figures of a GPU\n")
    assert "NVIDIA" not in text
    assert "cuda" not in text.lower()
    passed = int(re.search(r"(\d+) passed, 0 failed", text)[1])
    assert text.count("| pass |") == passed >= 6
    for name in ("date", "machine", "versions", "## Checks", "## Speed", "| 1 | dtool.sample |", "onnxruntime on cpu"):
        assert name in text
    if importlib.util.find_spec("onnx") and importlib.util.find_spec("torch"):
        assert passed >= 31
        assert "| pass | a run that stays on the device, heun |" in text
        assert "| 1 | fused file |" in text
        assert "| 1 | PyTorch eager, bare |" in text
        assert "torch on cpu" in text


@pytest.mark.skipif("CUDAExecutionProvider" in __import__("onnxruntime").get_available_providers(), reason="has CUDA")
def test_without_cuda_it_says_so_and_writes_nothing(suite, tmp_path, capsys):
    assert suite.gpu.main(["-o", str(tmp_path / "gpu.md")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: device cuda is not there")
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_found_out_first(suite, tmp_path, capsys):
    assert suite.gpu.main([*SHORT, "-o", str(tmp_path / "no" / "cpu.md")]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_a_failed_check_is_written_and_told_by_the_exit_code(suite, monkeypatch, tmp_path):
    def shifted(self):
        original = dtool.load(self.model, device="cpu")
        inner = original.predict
        original.predict = lambda *a: inner(*a) + 0.01
        original.bind = lambda like, label=None: lambda x, t: original.predict(x, t, label)
        return original

    monkeypatch.setattr(suite.checks.Suite, "here", property(shifted))
    monkeypatch.setattr(suite.checks, "CHECKS", [("host loop", (), suite.checks.host_loop)])
    path = tmp_path / "cpu.md"
    assert suite.gpu.main([*SHORT, "--no-speed", "-o", str(path)]) == 3
    text = path.read_text(encoding="utf-8")
    assert "0 passed, 3 failed" in text
    assert "## Speed" not in text


def statuses(results):
    return [result.status for result in results]


def test_a_check_that_breaks_down_has_failed_and_one_without_its_packages_is_skipped(suite, monkeypatch):
    def broken(_, name):
        raise dtool.DtoolError("it broke", "mend it")
        yield

    checks = [("a", (), broken), ("b", ("no_such_module",), broken)]
    monkeypatch.setattr(suite.checks, "CHECKS", checks)
    first, second = suite.checks.examine(None)
    assert (first.status, second.status) == ("fail", "skip")
    assert "it broke" in first.detail
    assert "no_such_module not installed" in second.detail


def test_what_is_far_or_not_a_number_fails(suite):
    within, equal = suite.checks.within, suite.checks.equal
    assert [within("", far, "").status for far in (0.0, 1e-3, 1.1e-3, float("nan"))] == ["pass", "pass", "fail", "fail"]
    values = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    other = values.copy()
    assert equal("", other, values).status == "pass"
    other[2, 3] = np.nextafter(other[2, 3], np.float32(9))
    assert equal("", other, values).figure == "1 of 20"
    assert equal("", other, values).status == equal("", values[:3], values).status == "fail"
    assert equal("", np.float32(-0.0), np.float32(0.0)).status == "fail"  # bits, not values


def test_images_that_depend_on_their_company_are_found(suite, tmp_path, monkeypatch):
    known = importlib.util.find_spec  # of the file nothing is asked here
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else known(name, *a))
    alone = dtool.network(lambda x, t: 0.1 * x, shape=(4,))
    crowd = dtool.network(lambda x, t: 0.1 * x - 0.1 * x.mean(axis=0, keepdims=True), shape=(4,))
    crowd.is_builtin = True  # or its images would be run one at a time
    run = suite.checks.batches
    assert statuses(run(small(suite, tmp_path, alone), "")) == ["pass"] * 3
    assert statuses(run(small(suite, tmp_path, crowd), "")) == ["fail"] * 3
    both = small(suite, tmp_path, alone, torch_network=lambda device: crowd)
    assert statuses(run(both, "")) == ["pass"] * 3 + ["fail"] * 3


def settled(tmp_path, **fields):
    """A small network's file, from the host and on the device, which is the CPU."""
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    from dtool.models.runtime import Runtime
    from dtool.run.onnxruntime_backend import OnnxNetwork, read_checked_file
    from dtool.run.onnxruntime_device import DeviceNetwork
    from tests.support import small_networks

    path = tmp_path / "net.onnx"
    small_networks.write(path, shape=(5,), classes=3, **fields)
    cpu = Runtime(device="cpu")
    return OnnxNetwork(path, runtime=cpu), DeviceNetwork(read_checked_file(path), runtime=cpu)


def test_a_run_on_the_device_that_is_another_is_found(suite, tmp_path):
    host, device = settled(tmp_path)
    made = small(suite, tmp_path, host)
    made.resident = device
    results = list(suite.checks.device_loop(made, "loop"))
    assert set(statuses(results)) == {"pass"}
    assert len(results) == 8
    assert any("guidance 2.0" in result.name for result in results)
    slot_of = device._slot
    device._slot = lambda batch: lambda *values: slot_of(batch)(*values) + 0.01
    assert statuses(suite.checks.device_loop(made, ""))[:6] == ["fail"] * 6


def test_a_graph_that_replays_the_wrong_thing_is_found(suite, tmp_path):
    host, device = settled(tmp_path, seed=4)
    made = small(suite, tmp_path, host)
    assert statuses(suite.checks.recorded_graph(made, "")) == ["skip"]
    made.recorded = device
    results = list(suite.checks.recorded_graph(made, "graph"))
    assert set(statuses(results)) == {"pass"}
    assert {"graph, after other batch sizes", "graph, another class"} < {result.name for result in results}
    told_once = device._slot

    def stale(batch):
        """A graph that has recorded the labels of its first call."""
        slot = told_once(batch)
        labels = slot.__dict__.setdefault("labels", [])

        def run(x, t, label):
            labels.append(label.clone())
            return slot(x, t, labels[0])

        return run

    device._slot = stale
    failed = [result.name for result in suite.checks.recorded_graph(made, "graph") if result.status == "fail"]
    assert "graph, another class" in failed


def test_compiled_images_that_are_others_are_found(suite, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")

    def fn(x, t):
        return 0.1 * x

    def network(device):
        return dtool.network(fn, shape=(4,), backend="torch")

    made = small(suite, tmp_path, None, torch_network=network)
    assert statuses(suite.checks.compiled(made, "")) == ["skip"]
    made.compile = True
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    assert set(statuses(suite.checks.compiled(made, ""))) == {"pass"}
    monkeypatch.setattr(torch, "compile", lambda module, **_: lambda x, t: module(x, t) + 0.01)
    assert "fail" in statuses(suite.checks.compiled(made, ""))


def test_who_waits_is_asked_of_a_gpu_alone(suite, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    host, device = settled(tmp_path)
    made = small(suite, tmp_path, host, torch_network=lambda _: device)
    assert statuses(suite.checks.no_waiting(made, "")) == ["skip"]
    made.device, made.resident, modes = "cuda", device, []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    assert statuses(suite.checks.no_waiting(made, "")) == ["pass"] * 8
    assert set(modes) == {"error", "default"}
    assert modes[-1] == "default"


def test_noise_that_is_another_is_found(suite, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    made = small(suite, tmp_path, None, torch_network=lambda device: None)
    assert statuses(suite.checks.torch_noise(made, "")) == ["pass"] * 2
    honest = suite.checks.normals
    monkeypatch.setattr(suite.checks, "normals", lambda seed, *a: honest(seed + 1, *a))
    assert statuses(suite.checks.torch_noise(made, "")) == ["fail"] * 2


def test_noise_of_the_file_that_is_another_is_found(suite, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    from importlib.resources import as_file, files

    with as_file(files("dtool.models") / "digits.onnx") as inside:
        made = suite.checks.Suite(inside, "cpu", tmp_path, steps=2, n=2)
        assert statuses(suite.checks.fused_noise(made, "")) == ["pass"] * 3
        honest = suite.checks.normals
        monkeypatch.setattr(suite.checks, "normals", lambda *a: honest(*a) + np.float32(1e-6))
        assert statuses(suite.checks.fused_noise(made, "")) == ["fail"] * 3


def test_operators_that_fell_back_are_counted(suite):
    def events(*nodes):
        made = [{"cat": "Node", "args": {"op_name": op, "provider": f"{p}ExecutionProvider"}} for op, p in nodes]
        return [*made, {"cat": "Session", "args": {}}, {"cat": "Node", "args": {}}]

    placed = suite.checks.placed
    shapes = placed("", events(("Conv", "CUDA"), ("Shape", "CPU"), ("Shape", "CPU")), "cuda")
    assert (shapes.status, shapes.figure) == ("info", "2 of 3")
    assert "2 Shape" in shapes.detail
    assert placed("", events(("Conv", "CPU"), ("Mul", "CUDA")), "cuda").status == "fail"
    assert placed("", events(), "cuda").status == "fail"  # nothing ran: nothing is known


def test_the_script_starts_by_itself():
    assert "--device" in __import__("subprocess").run(
        [sys.executable, str(BENCHMARKS / "gpu.py"), "--help"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
