"""More memory than there is: a run that would need it is refused, a graph of a few bytes that takes it is stopped."""

from __future__ import annotations

import threading
import time
from math import inf

import numpy as np
import pytest

from dtool import memory
from dtool.backends.guard import guarded
from dtool.backends.sampling import require_room
from dtool.errors import DtoolError, UsageError
from dtool.targets import target
from tests.commandline import failed, ran, typed

needs_figures = pytest.mark.skipif(memory.taken() == 0, reason="nothing is known of this process's memory")


def test_the_limit(tmp_path, monkeypatch):
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    figures = {"/proc/meminfo": "MemTotal: 16000 kB\nMemAvailable:    1000 kB\nSwapFree: 500 kB\nHugePages_Total: 3\n"}
    figures["/proc/self/status"] = "Name:\tpython\nVmRSS:\t  900 kB\nRssAnon:\t  200 kB\n"
    real = memory.Path

    def path(name):
        file = tmp_path / name.replace("/", "_")
        if name in figures:
            file.write_text(figures[name])
        return real(file)

    monkeypatch.setattr(memory, "Path", path)
    assert memory.most() == (200 + 0.9 * 1500) * 1024
    figures["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.most() == (200 + 0.9 * 1500) * 1024
    figures["/sys/fs/cgroup/memory.max"] = "1000000\n"
    assert memory.most() == 900_000
    monkeypatch.setenv(memory.VARIABLE, "2.5")
    assert memory.most() == 2.5e9
    monkeypatch.setenv(memory.VARIABLE, "0")
    assert memory.most() == inf
    for wrong in ("8GB", "-1", "nan", "."):
        monkeypatch.setenv(memory.VARIABLE, wrong)
        with pytest.raises(UsageError, match="no number of GB"):
            memory.most()


def test_where_nothing_is_known_nothing_is_stopped(tmp_path, monkeypatch):
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    real = memory.Path
    monkeypatch.setattr(memory, "Path", lambda _: real(tmp_path / "missing"))
    assert memory.most() == inf
    memory.require_below(memory.most())


@needs_figures
def test_work_that_takes_too_much_is_told_to_stop(monkeypatch):
    stopped, held = threading.Event(), []

    def greedy():
        while not stopped.is_set() and len(held) < 100:
            held.append(np.ones(2_000_000))
            time.sleep(0.01)

    monkeypatch.setattr(memory, "most", lambda: memory.taken() + 50e6)
    with pytest.raises(DtoolError, match="took more than") as caught:
        guarded(greedy, stopped.set, 60)
    assert memory.VARIABLE in caught.value.hint
    assert stopped.is_set()
    assert len(held) < 100


def growing():
    """A network whose loop keeps 4 MB of each round, and never ends."""
    from onnx import TensorProto, helper, numpy_helper

    from tests.foreign import FLOAT, INT64, of_nodes

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
    from tests.foreign import saved

    saved(growing(), tmp_path)
    words = ["sample", "foreign.onnx", "--schedule", "linear", "--prediction", "eps", "--steps", "2", "-n", "2"]
    done = typed(*words, cwd=tmp_path, **{memory.VARIABLE: "0.6"})
    assert (done.code, done.out) == (1, "")
    assert "it took more than the 0.6 GB that it may" in done.err
    assert len(done.err.splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.onnx"]


@needs_figures
@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("sample --steps 1 -n 2000000", "2000000 images of (1, 28, 28) would take 12.6 GB"),
        ("sample --steps 1 -n 10000000000000 --class 3", "10000000000000 images"),
        ("sample --steps 1 --batch-size 1000000000000", "1000000000000 images"),
        ("sample --steps 50 -n 20000 --trace", "20000 images of (1, 28, 28) would take 12.8 GB"),
        ("sample --ids 0-4000000000", "more than 10000000 images"),
        ("compare ddim --steps 1,2 -n 1000000", "2000000 images"),
        ("compare ddim --class 3 -n 10000000000000", "10000000000000 images"),
        ("compare gmm:d=2 ddim --steps 1 -n 1000000000000", "1000000000000 images"),
    ],
)
def test_what_cannot_be_held_is_refused_before_it_is_drawn(words, cause, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(memory.VARIABLE, "8")
    failed(ran(capsys, *words.split()), 2, cause, "ask for fewer at a time")
    assert not list(tmp_path.iterdir())


def test_the_size_that_is_refused(monkeypatch):
    network = target("gmm:d=2").network()
    monkeypatch.setattr(memory, "taken", lambda: int(1e9))
    monkeypatch.setattr(memory, "most", lambda: 2e9)
    each = 2 * (2 * 4 + 8)  # the numbers, the id and the class; in parts and as a whole
    require_room(network, int(1e9) // each)
    with pytest.raises(UsageError, match=r"would take 1\.06 GB of memory; there are 1 GB") as caught:
        require_room(network, int(1.06e9) // each)
    assert "trace" not in caught.value.hint
    require_room(network, int(1e9) // (each + 5 * 2 * 2 * 4), traced=2)
    with pytest.raises(UsageError, match=r"would take 1\.06 GB") as caught:
        require_room(network, int(1.06e9) // (each + 5 * 2 * 2 * 4), traced=2)  # 3 of x, 2 of x0
    assert "leave out the trace" in caught.value.hint
    monkeypatch.setattr(memory, "most", lambda: 0.0)
    require_room(network, int(memory.NOTABLE) // each - 1)  # a little is not looked for
