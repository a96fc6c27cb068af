"""Networks in ONNX files: runs without end are stopped, and what may be long is guarded."""

import os
import signal
import subprocess

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from tests.support.commandline import failed, ran, started

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from dtool.onnx import session  # noqa: E402
from dtool.onnx.session import run_session  # noqa: E402
from dtool.run import onnxruntime_backend  # noqa: E402
from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import SAID  # noqa: E402

FLAGS = ("--schedule", "linear", "--prediction", "eps", "--steps", 4, "-n", 2)
CLIPPED = ("sample", "foreign.onnx", *FLAGS[:4], "--steps", 2, "--clip")


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
    from dtool.run import onnxruntime_backend  # noqa: E402
    run = onnxruntime_backend.run_session
    def running(*given):
        print("began", file=sys.stderr, flush=True)
        return run(*given)
    onnxruntime_backend.run_session = running
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
        return run_session(*given)

    monkeypatch.setattr(onnxruntime_backend, "run_session", counted)
    monkeypatch.setattr(onnxruntime_backend, "count_cores", lambda: 1)  # parts of a batch are all guarded
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


def test_a_network_with_a_loop_is_guarded_at_every_call(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(onnxruntime_backend, "run_session", lambda *given: runs.append(1) or run_session(*given))
    monkeypatch.setattr(onnxruntime_backend, "SLOW", 60)
    net = dtool.load(make.saved(make.looped(3), tmp_path), device="cpu", spec=SAID)
    dtool.sample(net, "ddim", n=2, steps=5)
    assert len(runs) >= 5


def test_time_limits(tmp_path, monkeypatch):
    path = make.saved(make.network(), tmp_path)
    for given, kept in ((None, 120), (0, np.inf), (5, 5)):
        seen = []
        with monkeypatch.context() as patch:
            load = session._load_session
            patch.setattr(session, "_load_session", lambda *a, seen=seen, load=load: seen.append(a) or load(*a))
            net = dtool.load(path, spec=SAID, device="cpu", time_limit=given)
        assert seen[0][3] == net._limit == kept
    for wrong in (-1, float("nan")):
        with pytest.raises(UsageError, match="cannot be kept"):
            dtool.load(path, spec=SAID, time_limit=wrong)


SHAPE = (1, 4, 4)


def baked():
    """A network that says that it takes any batch, and whose graph takes one image."""
    weights = [numpy_helper.from_array(np.array([1, *SHAPE]), "one")]
    nodes = [helper.make_node("Reshape", ["x", "one"], ["y"])]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE]),
        helper.make_tensor_value_info("t", TensorProto.FLOAT, ["batch"]),
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *SHAPE])
    return make.model(nodes, inputs, [out], weights)


def test_a_baked_batch_is_told_what_works(capsys, folder):
    make.saved(baked(), folder)
    call = (*CLIPPED, "-n", 2)
    failed(ran(capsys, *call), 1, "takes one image at a time", "--batch-size 1 (batch_size=1)")
    result = ran(capsys, *call, "--batch-size", "1")
    assert result.code == 0, result.err


def test_a_learned_variance_can_be_said_on_the_command_line(capsys, folder):
    proto = make.network(doubled=True)
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    make.saved(proto, folder)
    call = (*CLIPPED, "-n", 1)
    failed(ran(capsys, *call), 1, "returned shape", "--learned-variance (learned_variance=True)")
    result = ran(capsys, *call, "--learned-variance")
    assert result.code == 0, result.err
