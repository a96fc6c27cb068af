"""Sessions of ONNX Runtime: runs that end, and the provider that was asked for or none."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.runtime import Runtime
from tests.support.commandline import failed, ran

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from dtool.onnx import session as onnxruntime_session  # noqa: E402
from dtool.onnx.session import find_device, open_session, run_session  # noqa: E402
from tests.support import foreign as make  # noqa: E402


@pytest.fixture
def session():
    return open_session(make.network().SerializeToString(), "foreign.onnx", Runtime(device="cpu"))


def feed(seed=0):
    x = np.random.default_rng(seed).standard_normal((3, 1, 4, 4)).astype(np.float32)
    return {"sample": x, "timestep": np.array(7)}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_no_thread_of_a_session_is_tied_to_a_core():
    """Who calls a session from another thread than the main one would find its own core taken."""
    mine = os.sched_getaffinity(0)
    threads = Path("/proc/self/task")
    before = set(threads.iterdir())
    session = open_session(make.network().SerializeToString(), "foreign.onnx", Runtime(device="cpu"))
    made = set(threads.iterdir()) - before
    assert all(os.sched_getaffinity(int(thread.name)) == mine for thread in made)
    assert session.get_session_options().intra_op_num_threads == onnxruntime_session.count_cores() <= len(mine)


@pytest.mark.parametrize("error", [AttributeError, FileNotFoundError])
def test_where_cores_cannot_be_counted_the_number_is_left_to_onnx_runtime(monkeypatch, error):
    def unknown(_):
        raise error

    monkeypatch.setattr(os, "sched_getaffinity", unknown, raising=False)
    assert onnxruntime_session.count_cores() == 0
    assert open_session(make.network().SerializeToString(), "foreign.onnx", Runtime(device="cpu")).run(None, feed())


@pytest.mark.parametrize("seed", range(3))
def test_a_guarded_run_is_a_run(session, seed):
    np.testing.assert_array_equal(
        run_session(session, ["out_sample"], feed(seed))[0], session.run(["out_sample"], feed(seed))[0]
    )
    assert len(run_session(session, None, feed(seed))) == 1


def test_a_run_that_fails_says_why_in_a_line(session, capfd):
    with pytest.raises(DtoolError, match="ONNX Runtime cannot run the network: Got invalid dimensions") as caught:
        run_session(session, ["out_sample"], feed() | {"sample": np.zeros((3, 2, 4, 4), np.float32)})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_file_that_does_not_load_in_time(monkeypatch):
    cancelled = threading.Event()

    class Options(ort.SessionOptions):
        def set_load_cancellation_flag(self, _):
            cancelled.set()

    monkeypatch.setattr(ort, "SessionOptions", Options)
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: cancelled.wait(60))
    with pytest.raises(DtoolError, match=r"has not loaded big\.onnx in 0\.05 seconds") as caught:
        open_session(b"", "big.onnx", Runtime(device="cpu", time_limit=0.05))
    assert cancelled.is_set()
    assert "--time-limit" in caught.value.hint


OTHER = next((p for p in ort.get_available_providers() if p == "AzureExecutionProvider"), None)


@pytest.mark.parametrize("name", ["CPUExecutionProvider", "cpu", "CPU:", "CPU:a=1,b=2,3,c="])
def test_providers_by_name(described_file, name):
    net = dtool.load(described_file, provider=name)
    assert (net.device, net.session.get_providers()) == ("cpu", ["CPUExecutionProvider"])


@pytest.mark.skipif(OTHER is None, reason="this ONNX Runtime has no second provider")
def test_another_provider(capsys, described_file):
    result = ran(capsys, "sample", described_file, "--provider", "azure", "--steps", 2, "-n", 2, "--json", "-q")
    assert json.loads(result.out)["device"] == "azure"
    net = dtool.load(described_file, provider=OTHER)
    assert net.session.get_providers()[0] == OTHER
    np.testing.assert_array_equal(
        dtool.sample(net, "ddim", n=2, steps=3, batch_size=8).x0,
        dtool.sample(dtool.load(described_file, device="cpu"), "ddim", n=2, steps=3, batch_size=8).x0,
    )


def test_options_reach_the_provider(described_file, monkeypatch):
    seen = []

    class Session(ort.InferenceSession):
        def __init__(self, data, options, providers, **more):
            seen.append(providers)
            super().__init__(data, options, providers=["CPUExecutionProvider"], **more)

        def get_providers(self):
            return [name for name, _ in seen[-1]]

    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    known = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: known)
    cpu, cuda = ("CPUExecutionProvider", {}), ("CUDAExecutionProvider", {})
    for asked, wanted, device in (
        ({"provider": "OpenVINO:device_type=HETERO:GPU,CPU,precision=FP16"},
         [(known[2], {"device_type": "HETERO:GPU,CPU", "precision": "FP16"}), cpu], "openvino"),
        ({"provider": "tensorrt:trt_fp16_enable=1"}, [(known[0], {"trt_fp16_enable": "1"}), cuda, cpu], "cuda"),
        ({"provider": "CUDA"}, [cuda, cpu], "cuda"),
        ({"device": "cuda:1"}, [("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"}), cpu], "cuda"),
        ({"device": "cpu"}, [cpu], "cpu"),
    ):  # fmt: skip
        assert dtool.load(described_file, **asked).device == device
        assert seen[-1] == wanted


@pytest.mark.parametrize(
    ("flags", "code", "cause", "hint"),
    [
        (["--provider", "OpenVimo"], 2, "there is no provider 'OpenVimo'", "did you mean openvino"),
        (["--provider", "CPU:fast"], 2, "'fast' are no options", "CPU:key=value,key=value"),
        (["--provider", "CPU:=3"], 2, "'=3' are no options", "CPU:key=value"),
        (["--provider", "CPU", "--device", "cpu"], 2, "both --provider CPU and --device cpu", "leave one of them out"),
        (["--device", "cuda:x"], 2, "there is no device 'cuda:x'", "cuda:1"),
        (["--device", "cpu:1"], 2, "there is no device 'cpu:1'", "use auto, cpu or cuda"),
        (["--time-limit", "-3"], 2, "'--time-limit'", "--help"),
    ],
)
def test_places_that_are_none(capsys, described_file, flags, code, cause, hint):
    failed(ran(capsys, "sample", described_file, *flags), code, cause, hint)


def test_a_provider_that_is_not_there(capsys, described_file):
    if "QNNExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has QNN")
    result = ran(capsys, "sample", described_file, "--provider", "QNN:backend_path=x.so")
    failed(result, 1, "provider QNNExecutionProvider is not there: this ONNX Runtime has", "a build of ONNX Runtime")


def test_a_provider_that_does_not_start_is_an_error(capsys, described_file, monkeypatch):
    """ONNX Runtime says so in its log at most, and goes on with the CPU; what it prints is not data."""

    def preload():
        print("Failed to load libcublas.so.13: libcublas.so.13: cannot open shared object file")

    class Fallen(ort.InferenceSession):
        def __init__(self, data, options, providers, **more):
            super().__init__(data, options, providers=["CPUExecutionProvider"], **more)

    monkeypatch.setattr(ort, "InferenceSession", Fallen)
    monkeypatch.setattr(ort, "preload_dlls", preload)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    cause = "could not start its CUDAExecutionProvider: it needs libcublas.so.13"
    for flags in (["--device", "cuda"], ["--device", "cuda:2"], ["--provider", "CUDA"]):
        failed(ran(capsys, "sample", described_file, *flags), 1, cause, "dtool-diffusion[gpu]")
    result = ran(capsys, "sample", described_file, "--steps", 2, "-n", 2, "--json", "-q")
    assert json.loads(result.out)["device"] == "cpu"

    def broken(*_, providers, **__):
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : /a/b.cc:3 void f(int) no device\nmore")
        return Fallen(*_, providers=providers, **__)

    monkeypatch.setattr(ort, "InferenceSession", broken)
    failed(ran(capsys, "sample", described_file, "--device", "cuda"), 1, "on device cuda: no device", "--device cpu")
    assert ran(capsys, "sample", described_file, "--steps", 2, "-n", 2, "-q").code == 0


def test_device_of(session):
    assert find_device(session) == "cpu"


def test_providers_are_those_of_onnx_runtime():
    assert onnxruntime_session.list_providers() == ort.get_available_providers()


@pytest.mark.parametrize("said", ["bad_alloc", "Failed to allocate memory for requested buffer of size 7 GB"])
def test_a_run_that_finds_no_memory_says_so(said):
    error = onnxruntime_session.failed_run_error(RuntimeError(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {said}"))
    assert "not enough memory" in str(error)
    assert "fewer images" in error.hint
