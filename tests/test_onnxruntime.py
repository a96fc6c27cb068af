"""Sessions of ONNX Runtime: runs that end, the provider that was asked for or none, and broken installations."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from commandline import failed, plain_environment, ran, started

import dtool
from dtool.backends import guard
from dtool.backends.guard import guarded
from dtool.errors import DtoolError, UsageError

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
import foreign as make  # noqa: E402 - after the check that onnx is there

from dtool.backends import onnxruntime_backend, onnxruntime_session  # noqa: E402
from dtool.backends.onnxruntime_session import device_of, guarded_run, open_session  # noqa: E402

SAID = {"schedule": "linear", "prediction": "eps"}
FLAGS = ("--schedule", "linear", "--prediction", "eps", "--steps", 4, "-n", 2)


@pytest.fixture
def session():
    return open_session(make.network().SerializeToString(), "foreign.onnx", "cpu")


def feed(seed=0):
    x = np.random.default_rng(seed).standard_normal((3, 1, 4, 4)).astype(np.float32)
    return {"sample": x, "timestep": np.array(7)}


# ---------------------------------------------------------------- work that can be stopped


def test_guarded_work_is_work():
    told = []
    assert guarded(lambda: threading.get_ident(), lambda: told.append("stop"), 60) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0, lambda: told.append("stop"), 60)
    assert told == []


def test_work_without_end_is_told_to_stop():
    stopped = threading.Event()
    with pytest.raises(TimeoutError):
        guarded(lambda: stopped.wait(60), stopped.set, 0.05)
    assert stopped.is_set()


def test_work_that_does_not_listen_is_left_behind(monkeypatch):
    monkeypatch.setattr(guard, "GRACE", 0.05)
    release, ended = threading.Event(), threading.Event()

    def deaf():
        release.wait(60)
        ended.set()

    with pytest.raises(TimeoutError):
        guarded(deaf, lambda: None, 0.05)
    assert not ended.is_set()
    release.set()
    assert ended.wait(60)


def test_a_thread_is_used_again_unless_it_is_busy():
    first, again = (guarded(threading.get_ident, lambda: None, 60) for _ in range(2))
    assert first == again
    inner = guarded(lambda: guarded(threading.get_ident, lambda: None, 60), lambda: None, 60)
    assert inner != first
    release = threading.Event()
    with pytest.raises(TimeoutError):
        guarded(lambda: release.wait(60), release.set, 0.05)
    seen = [guarded(threading.get_ident, lambda: None, 60) for _ in range(3)]
    assert threading.get_ident() not in seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_starts_threads_of_its_own():
    code = """
        import os, sys
        from dtool.backends.guard import guarded
        assert guarded(lambda: 1, lambda: None, 60) == 1
        child = os.fork()
        if child == 0:
            os._exit(0 if guarded(lambda: 2, lambda: None, 20) == 2 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120, env=plain_environment())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_no_thread_of_a_session_is_tied_to_a_core():
    """Who calls a session from another thread than the main one would find its own core taken."""
    mine = os.sched_getaffinity(0)
    threads = Path("/proc/self/task")
    before = set(threads.iterdir())
    session = open_session(make.network().SerializeToString(), "foreign.onnx", "cpu")
    made = set(threads.iterdir()) - before
    assert all(os.sched_getaffinity(int(thread.name)) == mine for thread in made)
    assert session.get_session_options().intra_op_num_threads == onnxruntime_session._cores() <= len(mine)


@pytest.mark.parametrize("error", [AttributeError, FileNotFoundError])
def test_where_cores_cannot_be_counted_the_number_is_left_to_onnx_runtime(monkeypatch, error):
    def unknown(_):
        raise error

    monkeypatch.setattr(os, "sched_getaffinity", unknown, raising=False)
    assert onnxruntime_session._cores() == 0
    assert open_session(make.network().SerializeToString(), "foreign.onnx", "cpu").run(None, feed())


@pytest.mark.parametrize("seed", range(3))
def test_a_guarded_run_is_a_run(session, seed):
    np.testing.assert_array_equal(
        guarded_run(session, ["out_sample"], feed(seed))[0], session.run(["out_sample"], feed(seed))[0]
    )
    assert len(guarded_run(session, None, feed(seed))) == 1


def test_a_run_that_fails_says_why_in_a_line(session, capfd):
    with pytest.raises(DtoolError, match="ONNX Runtime cannot run the network: Got invalid dimensions") as caught:
        guarded_run(session, ["out_sample"], feed() | {"sample": np.zeros((3, 2, 4, 4), np.float32)})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_an_endless_loop_is_stopped(tmp_path, capfd):
    path = make.saved(make.endless(), tmp_path)
    net = dtool.load(path, device="cpu", spec=SAID, time_limit=1)
    for _ in range(2):  # and the session can be used again
        with pytest.raises(DtoolError, match="the network was stopped: it ran for more than 1 seconds") as caught:
            dtool.sample(net, "ddim", n=2, steps=2)
    assert "--time-limit" in caught.value.hint
    assert capfd.readouterr().err == ""


def test_an_endless_loop_on_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make.saved(make.endless(), tmp_path)
    result = ran(capsys, "sample", "foreign.onnx", *FLAGS, "--time-limit", 1)
    failed(result, 1, "the network was stopped: it ran for more than 1 seconds", "allow more with --time-limit")
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.onnx"]
    result = ran(capsys, "compare", "foreign.onnx", "ddim", *FLAGS[:4], "--time-limit", 1)
    failed(result, 1, "the network was stopped", "--time-limit")


ENDLESS = """
    import sys
    from dtool.backends import onnxruntime_backend
    run = onnxruntime_backend.guarded_run
    def running(*given):
        print("began", file=sys.stderr, flush=True)
        return run(*given)
    onnxruntime_backend.guarded_run = running
    from dtool.cli import main
    words = "sample foreign.onnx --schedule linear --prediction eps --time-limit 0 -o out.png --npz out.npz"
    sys.exit(main(words.split()))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent to a process")
def test_ctrl_c_inside_a_run(tmp_path):
    make.saved(make.endless(), tmp_path)
    with started(ENDLESS, tmp_path) as process:
        assert process.stderr.readline() == b"began\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"error: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.onnx"]


def test_only_what_may_be_long_is_guarded(tmp_path, monkeypatch):
    runs = []

    def counted(*given):
        runs.append(given[-1])
        return guarded_run(*given)

    monkeypatch.setattr(onnxruntime_backend, "guarded_run", counted)
    fast = make.saved(make.network(t=("t", make.FLOAT, ["batch"])), tmp_path)
    net = dtool.load(fast, device="cpu", spec=SAID)
    monkeypatch.setattr(onnxruntime_backend, "SLOW", 60)
    dtool.sample(net, "ddim", n=3, steps=9)
    assert runs == [120.0], "the first call"
    monkeypatch.setattr(onnxruntime_backend, "SLOW", 0)
    want = dtool.sample(net, "ddim", n=3, steps=9).x0
    assert len(runs) == 9, "all after a slow one"
    monkeypatch.setattr(onnxruntime_backend, "SLOW", 60)
    np.testing.assert_array_equal(dtool.sample(net, "ddim", n=3, steps=9).x0, want)
    assert len(runs) == 10, "and no more after a fast one"


def test_time_limits(tmp_path, monkeypatch):
    path = make.saved(make.network(), tmp_path)
    for given, kept in ((None, 120), (0, np.inf), (5, 5)):
        seen = []
        monkeypatch.setattr(
            onnxruntime_backend, "open_session", lambda *a, seen=seen: seen.append(a) or open_session(*a)
        )
        dtool.load(path, spec=SAID, device="cpu", time_limit=given)
        assert seen[0][-1] == kept
    for wrong in (-1, float("nan")):
        with pytest.raises(UsageError, match="cannot be kept"):
            dtool.load(path, spec=SAID, time_limit=wrong)


def test_a_file_that_does_not_load_in_time(monkeypatch):
    cancelled = threading.Event()

    class Options(ort.SessionOptions):
        def set_load_cancellation_flag(self, _):
            cancelled.set()

    monkeypatch.setattr(ort, "SessionOptions", Options)
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: cancelled.wait(60))
    with pytest.raises(DtoolError, match=r"has not loaded big\.onnx in 0\.05 seconds") as caught:
        open_session(b"", "big.onnx", "cpu", None, 0.05)
    assert cancelled.is_set()
    assert "--time-limit" in caught.value.hint


# ---------------------------------------------------------------- the provider that was asked for, or none

OTHER = next((p for p in ort.get_available_providers() if p == "AzureExecutionProvider"), None)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A network in the working folder that says what it is."""
    monkeypatch.chdir(tmp_path)
    proto = make.network(t=("t", make.FLOAT, ["batch"]))
    spec = dtool.NetworkSpec(shape=(1, 4, 4), schedule="linear")
    onnx.helper.set_model_props(proto, {"dtool": json.dumps({"spec": json.loads(spec.model_dump_json())})})
    make.saved(proto, tmp_path, "net.onnx")
    return "net.onnx"


@pytest.mark.parametrize("name", ["CPUExecutionProvider", "cpu", "CPU:", "CPU:a=1,b=2,3,c="])
def test_providers_by_name(file, name):
    net = dtool.load(file, provider=name)
    assert (net.device, net.session.get_providers()) == ("cpu", ["CPUExecutionProvider"])


@pytest.mark.skipif(OTHER is None, reason="this ONNX Runtime has no second provider")
def test_another_provider(capsys, file):
    result = ran(capsys, "sample", file, "--provider", "azure", "--steps", 2, "-n", 2, "--json", "-q")
    assert json.loads(result.out)["device"] == "azure"
    net = dtool.load(file, provider=OTHER)
    assert net.session.get_providers()[0] == OTHER
    np.testing.assert_array_equal(
        dtool.sample(net, "ddim", n=2, steps=3, batch_size=8).x0,
        dtool.sample(dtool.load(file, device="cpu"), "ddim", n=2, steps=3, batch_size=8).x0,
    )


def test_options_reach_the_provider(file, monkeypatch):
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
        assert dtool.load(file, **asked).device == device
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
def test_places_that_are_none(capsys, file, flags, code, cause, hint):
    failed(ran(capsys, "sample", file, *flags), code, cause, hint)


def test_a_provider_that_is_not_there(capsys, file):
    if "QNNExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has QNN")
    result = ran(capsys, "sample", file, "--provider", "QNN:backend_path=x.so")
    failed(result, 1, "provider QNNExecutionProvider is not there: this ONNX Runtime has", "a build of ONNX Runtime")


def test_a_provider_that_does_not_start_is_an_error(capsys, file, monkeypatch):
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
        failed(ran(capsys, "sample", file, *flags), 1, cause, "dtool-diffusion[gpu]")
    result = ran(capsys, "sample", file, "--steps", 2, "-n", 2, "--json", "-q")
    assert json.loads(result.out)["device"] == "cpu"

    def broken(*_, providers, **__):
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : /a/b.cc:3 void f(int) no device\nmore")
        return Fallen(*_, providers=providers, **__)

    monkeypatch.setattr(ort, "InferenceSession", broken)
    failed(ran(capsys, "sample", file, "--device", "cuda"), 1, "on device cuda: no device", "--device cpu")
    assert ran(capsys, "sample", file, "--steps", 2, "-n", 2, "-q").code == 0


def test_only_an_onnx_file_has_a_provider(capsys, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"")
    result = ran(capsys, "sample", tmp_path / "net.pt", "--provider", "CUDA")
    failed(result, 2, "runs on torch, which has no execution providers", "dtool export")


def test_device_of(session):
    assert device_of(session) == "cpu"


# ---------------------------------------------------------------- broken installations


def installed(folder, monkeypatch, *names):
    """Make packages of these names appear to be installed, too."""
    for name in names:
        info = folder / f"{name.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


def test_two_packages_of_one_module_are_named(capsys, file, tmp_path, monkeypatch):
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    assert json.loads(ran(capsys, "env", "--json").out)["problems"] == []
    installed(tmp_path / "site", monkeypatch, "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")
    cause = "onnxruntime 1.2.3 and onnxruntime-gpu 1.2.3 and onnxruntime-directml 1.2.3 are installed together"
    remedy = "pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-directml; then one of them"
    failed(ran(capsys, "sample", file, "--device", "cuda"), 1, f"cuda is not there: {cause}", remedy)
    failed(ran(capsys, "sample", file, "--provider", "QNN"), 1, cause, remedy)
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["problems"][0]["cause"].startswith(cause)
    assert found["problems"][0]["remedy"].startswith(remedy)
    assert found["packages"]["onnxruntime-directml"] == "1.2.3"
    assert found["onnxruntime_providers"] == ort.get_available_providers()
    out = ran(capsys, "env").out
    assert f"problem               {cause}" in out
    assert f"remedy                {remedy}" in out


def test_a_module_that_lost_its_files(capsys, file, tmp_path, monkeypatch):
    installed(tmp_path / "site", monkeypatch, "onnxruntime")
    monkeypatch.delattr(ort, "get_available_providers")
    cause, remedy = "the files of onnxruntime 1.2.3 are not all there", "--force-reinstall --no-deps onnxruntime==1.2.3"
    failed(ran(capsys, "sample", file), 1, cause, remedy)
    failed(ran(capsys, "sample", file, "--provider", "CUDA"), 1, cause, remedy)
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["problems"][0]["cause"].startswith(cause)
    assert found["onnxruntime_providers"] == []
    installed(tmp_path / "other", monkeypatch, "onnxruntime-gpu")
    failed(ran(capsys, "sample", file), 1, "are installed together", "pip uninstall -y onnxruntime onnxruntime-gpu")


BROKEN = """
    import sys
    sys.path.insert(0, "site")
    from dtool.cli import main
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("packages", "module", "cause", "hint"),
    [
        (["onnxruntime"], "raise ImportError('libstrange.so: cannot open')", "libstrange.so: cannot open", "--force-"),
        (["onnxruntime-gpu"], "", "installed together", "pip uninstall -y onnxruntime onnxruntime-gpu"),
    ],
)
def test_a_module_that_cannot_be_imported(file, tmp_path, monkeypatch, packages, module, cause, hint):
    installed(tmp_path / "site", monkeypatch, *packages)
    (tmp_path / "site" / "onnxruntime").mkdir()
    (tmp_path / "site" / "onnxruntime" / "__init__.py").write_text(module, encoding="utf-8")
    run = [sys.executable, "-c", textwrap.dedent(BROKEN)]
    done = subprocess.run([*run, "sample", file], env=plain_environment(), capture_output=True, text=True, check=False)
    error, remedy = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert cause in error
    assert hint in remedy
    done = subprocess.run([*run, "env"], env=plain_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert cause in done.stdout
    assert re.search(r"^providers +-$", done.stdout, re.MULTILINE)


def test_providers_are_those_of_onnx_runtime():
    assert onnxruntime_session.providers() == ort.get_available_providers()


# ---------------------------------------------------------------------------------------------- bound arrays


@pytest.mark.parametrize("n", [1, 2, 4, 16])
def test_what_is_bound_lives_as_long_as_it_is_called(n):
    net = dtool.default_network(device="cpu")
    random = np.random.default_rng(n)
    x = random.standard_normal((n, *net.shape)).astype(np.float32)
    t, label = np.full(n, 300, np.float32), random.integers(0, 9, n)
    expected = net.predict(x, t, label)
    call = net.bound(x, label.copy())
    gc.collect()
    taken = [np.full(shape, 9, dtype) for dtype in (np.int64, np.float32) for shape in (n, x.shape) for _ in range(50)]
    assert (call(x, t) == net.predict(x, t, label)).all()
    np.testing.assert_allclose(call(x, t), expected, rtol=0, atol=1e-5)
    assert len(taken) == 200


def test_bound_arrays_are_lent_to_one_at_a_time():
    net = dtool.default_network(device="cpu")
    x = np.random.default_rng(0).standard_normal((2, *net.shape)).astype(np.float32)
    t, labels = np.full(2, 300, np.float32), [np.array([k, 9 - k]) for k in range(4)]
    calls = [net.bound(x, label) for label in labels]
    assert len({id(call.home) for call in calls}) == 4
    expected = [net.predict(x, t, label) for label in labels]
    for _ in range(2):
        for call, image in zip(calls, expected, strict=True):
            np.testing.assert_allclose(call(x, t), image, rtol=0, atol=1e-5)
    homes = {id(call.home) for call in calls}
    del call, calls
    gc.collect()
    again = [net.bound(x, label) for label in labels]
    assert len({id(call.home) for call in again} & homes) >= 2, "those that were given back are lent again"
    for call, image in zip(again, expected, strict=True):
        np.testing.assert_allclose(call(x, t), image, rtol=0, atol=1e-5)


def test_images_are_the_callers_own():
    """What a run gives must not lie in arrays that the next run is lent."""
    net = dtool.default_network(device="cpu")
    first = dtool.sample(net, "ddim", steps=2, n=1, guidance=1.0).x0
    kept = first.copy()
    dtool.sample(net, "ddim", steps=2, ids=[7], guidance=1.0)
    np.testing.assert_array_equal(first, kept)
    start = np.random.default_rng(0).standard_normal((3, *net.shape)).astype(np.float32)
    own = dtool.sample(net, "ddim", steps=2, x=start, guidance=1.0).x0
    kept = own.copy()
    dtool.sample(net, "ddim", steps=2, x=-start, guidance=1.0)
    np.testing.assert_array_equal(own, kept)


@pytest.mark.parametrize("said", ["bad_alloc", "Failed to allocate memory for requested buffer of size 7 GB"])
def test_a_run_that_finds_no_memory_says_so(said):
    error = onnxruntime_session.failed_run(RuntimeError(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {said}"))
    assert "not enough memory" in str(error)
    assert "fewer images" in error.hint
