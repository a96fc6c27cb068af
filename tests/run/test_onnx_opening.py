"""Where an ONNX file is opened: on the device with PyTorch, on the host without; and where it cannot be."""

from dataclasses import replace

import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.runtime import Runtime
from tests.support.commandline import failed, ran

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
from dtool.run import onnx_opening  # noqa: E402
from dtool.run.onnxruntime_backend import OnnxNetwork  # noqa: E402
from dtool.run.onnxruntime_device import DeviceNetwork  # noqa: E402


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(onnx_opening, "find_gpu_obstacle", lambda: "PyTorch sees no CUDA device")


def test_a_graph_that_cannot_be_had_is_refused(files, no_cuda, monkeypatch):
    path = files / "eps.onnx"
    with pytest.raises(UsageError, match="no CUDA graph here: it runs on CUDA alone"):
        dtool.load(path, device="cpu", cuda_graph=True)
    with pytest.raises(UsageError, match="by --device"):
        dtool.load(path, provider="cpu", cuda_graph=True)
    with pytest.raises(UsageError, match="PyTorch sees no CUDA device") as caught:
        dtool.load(path, device="cuda", cuda_graph=True)
    assert "pip install torch" in caught.value.hint
    with pytest.raises(UsageError, match="only PyTorch compiles"):
        dtool.load(path, compile=True)
    module = torch.nn.Linear(3, 3)
    with pytest.raises(UsageError, match="cuda_graph is for ONNX files"):
        dtool.load(module, spec=dtool.NetworkSpec(shape=(3,), schedule="linear"), cuda_graph=True)


def test_where_a_file_is_opened(files, monkeypatch):
    """On CUDA with PyTorch its run stays there; the CPU here stands for the GPU."""
    opened = []

    def fake(file, spec, runtime):
        opened.append(runtime)
        return DeviceNetwork(file, spec, replace(runtime, device="cpu", cuda_graph=False))

    monkeypatch.setattr(onnx_opening, "find_gpu_obstacle", lambda: "")
    monkeypatch.setattr("dtool.run.onnxruntime_device.DeviceNetwork", fake)
    path = files / "eps.onnx"
    dtool.load(path, device="cuda:1")
    dtool.load(path, device="cuda", cuda_graph=True, time_limit=7)
    assert opened == [Runtime(device="cuda:1"), Runtime(device="cuda", cuda_graph=True, time_limit=7)]
    monkeypatch.setattr(onnx_opening, "offers_cuda", lambda: False)
    assert type(dtool.load(path)) is OnnxNetwork
    monkeypatch.setattr(onnx_opening, "offers_cuda", lambda: True)
    dtool.load(path)
    assert opened[2:] == [Runtime(device="cuda")]
    monkeypatch.setattr("dtool.run.onnxruntime_device.DeviceNetwork", _absent)
    if "CUDAExecutionProvider" not in __import__("onnxruntime").get_available_providers():
        assert dtool.load(path).device == "cpu"  # auto: what can be had
    with pytest.raises(DtoolError, match="absent"):
        dtool.load(path, device="cuda")


def _absent(*_, **__):
    raise DtoolError("absent", "")


def test_a_whole_sampler_has_no_graph(files, tmp_path, monkeypatch):
    path = tmp_path / "app.onnx"
    dtool.export(files / "eps.onnx", path, plan="ddim", steps=3, check=False)
    monkeypatch.setattr(onnx_opening, "find_gpu_obstacle", lambda: "")
    with pytest.raises(UsageError, match="holds a whole sampler") as caught:
        dtool.load(path, device="cuda", cuda_graph=True)
    assert "network's own file" in caught.value.hint


def test_the_flags(capsys, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ("--steps", 2, "-n", 1)
    failed(ran(capsys, "sample", files / "eps.onnx", *few, "--cuda-graph", "--device", "cpu"), 2, "CUDA alone", "leave")
    failed(ran(capsys, "sample", files / "eps.onnx", *few, "--compile"), 2, "only PyTorch compiles", "--compile")
    failed(ran(capsys, "sample", *few, "--compile"), 2, "only PyTorch compiles")
    failed(ran(capsys, "sample", "nothing:here", *few, "--cuda-graph"), 2, "cuda_graph is for ONNX files", "--compile")
    assert list(tmp_path.iterdir()) == []
