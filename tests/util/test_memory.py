"""How much memory there is, and what is refused because it would need more."""

import subprocess
import sys
from math import inf

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.run.image_room import require_room
from dtool.targets import target
from dtool.util import memory
from tests.support.commandline import failed, ran
from tests.support.marks import needs_figures


def test_the_limit(tmp_path, monkeypatch):
    monkeypatch.delenv(memory.LIMIT_VARIABLE, raising=False)
    figures = {"/proc/meminfo": "MemTotal: 16000 kB\nMemAvailable:    1000 kB\nSwapFree: 500 kB\nHugePages_Total: 3\n"}
    figures["/proc/self/status"] = "Name:\tpython\nVmRSS:\t  900 kB\nRssAnon:\t  200 kB\n"
    real = memory.Path

    def path(name):
        file = tmp_path / name.replace("/", "_")
        if name in figures:
            file.write_text(figures[name])
        return real(file)

    monkeypatch.setattr(memory, "Path", path)
    assert memory.get_limit() == (200 + 0.9 * 1500) * 1024
    figures["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.get_limit() == (200 + 0.9 * 1500) * 1024
    figures["/sys/fs/cgroup/memory.max"] = "1000000\n"
    assert memory.get_limit() == 900_000
    monkeypatch.setenv(memory.LIMIT_VARIABLE, "2.5")
    assert memory.get_limit() == 2.5e9
    monkeypatch.setenv(memory.LIMIT_VARIABLE, "0")
    assert memory.get_limit() == inf
    for wrong in ("8GB", "-1", "nan", "."):
        monkeypatch.setenv(memory.LIMIT_VARIABLE, wrong)
        with pytest.raises(UsageError, match="no number of GB"):
            memory.get_limit()


def test_where_nothing_is_known_nothing_is_stopped(tmp_path, monkeypatch):
    monkeypatch.delenv(memory.LIMIT_VARIABLE, raising=False)
    real = memory.Path
    monkeypatch.setattr(memory, "Path", lambda _: real(tmp_path / "missing"))
    assert memory.get_limit() == inf
    memory.require_below(memory.get_limit())


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
    monkeypatch.setenv(memory.LIMIT_VARIABLE, "8")
    failed(ran(capsys, *words.split()), 2, cause, "ask for fewer at a time")
    assert not list(tmp_path.iterdir())


def test_the_size_that_is_refused(monkeypatch):
    network = target("gmm:d=2").network()
    monkeypatch.setattr(memory, "get_usage", lambda: int(1e9))
    monkeypatch.setattr(memory, "get_limit", lambda: 2e9)
    each = 2 * (2 * 4 + 8)  # the numbers, the id and the class; in parts and as a whole
    require_room(network, int(1e9) // each)
    with pytest.raises(UsageError, match=r"would take 1\.06 GB of memory; there are 1 GB") as caught:
        require_room(network, int(1.06e9) // each)
    assert "trace" not in caught.value.hint
    require_room(network, int(1e9) // (each + 5 * 2 * 2 * 4), traced=2)
    with pytest.raises(UsageError, match=r"would take 1\.06 GB") as caught:
        require_room(network, int(1.06e9) // (each + 5 * 2 * 2 * 4), traced=2)  # 3 of x, 2 of x0
    assert "leave out the trace" in caught.value.hint
    monkeypatch.setattr(memory, "get_limit", lambda: 0.0)
    require_room(network, int(memory.MIN_CHECKED_BYTES) // each - 1)  # a little is not looked for


@needs_figures
def test_the_peak_is_of_this_process_alone():
    """One that is started by a process that holds more does not inherit its figure; it knows what it has given back."""
    held = np.ones(30_000_000)
    code = "import numpy as np; from dtool.util.memory import get_peak as f; x = np.ones(10_000_000); del x; print(f())"
    peak = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert 80e6 < peak < held.nbytes < memory.get_peak()
