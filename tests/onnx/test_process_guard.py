"""Work that takes too long or too much memory is stopped, and the process goes on."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.onnx import process_guard
from dtool.onnx.process_guard import run_interruptible
from dtool.util import memory
from tests.support.commandline import plain_environment, typed
from tests.support.marks import needs_figures


@needs_figures
def test_work_that_takes_too_much_is_told_to_stop(monkeypatch):
    stopped, held = threading.Event(), []

    def greedy():
        while not stopped.is_set() and len(held) < 100:
            held.append(np.ones(2_000_000))
            time.sleep(0.01)

    monkeypatch.setattr(memory, "get_limit", lambda: memory.get_usage() + 50e6)
    with pytest.raises(DtoolError, match="took more than") as caught:
        run_interruptible(greedy, stopped.set, 60)
    assert memory.LIMIT_VARIABLE in caught.value.hint
    assert stopped.is_set()
    assert len(held) < 100


def growing():
    """A network whose loop keeps 4 MB of each round, and never ends."""
    from onnx import TensorProto, helper, numpy_helper

    from tests.support.foreign import FLOAT, INT64, of_nodes

    value, node = helper.make_tensor_value_info, helper.make_node
    body = helper.make_graph(
        [
            node("Identity", ["go"], ["on"]),
            node("Identity", ["v"], ["w"]),
            node("ConstantOfShape", ["block"], ["kept"]),
        ],
        "body",
        [value("i", INT64, []), value("go", TensorProto.BOOL, []), value("v", FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("w", FLOAT, None), value("kept", FLOAT, None)],
    )
    weights = [numpy_helper.from_array(np.array(v), n) for n, v in (("yes", True), ("block", [2**20]))]
    return of_nodes([node("Loop", ["", "yes", "x"], ["y", "all"], body=body)], weights)


@needs_figures
def test_a_loop_that_keeps_everything(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.support.foreign import saved

    saved(growing(), tmp_path)
    words = ["sample", "foreign.onnx", "--schedule", "linear", "--prediction", "eps", "--steps", "2", "-n", "2"]
    done = typed(*words, cwd=tmp_path, **{memory.LIMIT_VARIABLE: "0.6"})
    assert (done.code, done.out) == (1, "")
    assert "it took more than the 0.6 GB that it may" in done.err
    assert len(done.err.splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.onnx"]


def test_guarded_work_is_work():
    told = []
    assert run_interruptible(lambda: threading.get_ident(), lambda: told.append("stop"), 60) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        run_interruptible(lambda: 1 // 0, lambda: told.append("stop"), 60)
    assert told == []


def test_work_without_end_is_told_to_stop():
    stopped = threading.Event()
    with pytest.raises(TimeoutError):
        run_interruptible(lambda: stopped.wait(60), stopped.set, 0.05)
    assert stopped.is_set()


def test_work_that_does_not_listen_is_left_behind(monkeypatch):
    monkeypatch.setattr(process_guard, "GRACE", 0.05)
    release, ended = threading.Event(), threading.Event()

    def deaf():
        release.wait(60)
        ended.set()

    with pytest.raises(TimeoutError):
        run_interruptible(deaf, lambda: None, 0.05)
    assert not ended.is_set()
    release.set()
    assert ended.wait(60)


def test_a_thread_is_used_again_unless_it_is_busy():
    first, again = (run_interruptible(threading.get_ident, lambda: None, 60) for _ in range(2))
    assert first == again
    inner = run_interruptible(lambda: run_interruptible(threading.get_ident, lambda: None, 60), lambda: None, 60)
    assert inner != first
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_interruptible(lambda: release.wait(60), release.set, 0.05)
    seen = [run_interruptible(threading.get_ident, lambda: None, 60) for _ in range(3)]
    assert threading.get_ident() not in seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_starts_threads_of_its_own():
    code = """
        import os, sys
        from dtool.onnx.process_guard import run_interruptible
        assert run_interruptible(lambda: 1, lambda: None, 60) == 1
        child = os.fork()
        if child == 0:
            os._exit(0 if run_interruptible(lambda: 2, lambda: None, 20) == 2 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120, env=plain_environment())
