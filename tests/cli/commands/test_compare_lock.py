"""Two runs of `dtool compare` at once: the second is refused, and disturbs nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import dtool
from dtool.errors import DtoolError
from tests.support.commandline import failed, network, ran, started, use_network
from tests.support.places import ROOT

WORDS = ("compare", "ddim", "ddpm:sigma=none", "--steps", 3, "-n", 200, "--repeats", 1, "--no-solver", "-q")


SLOW = """
    import pathlib, sys, time
    import numpy as np
    import dtool
    from tests.support.commandline import network

    inner, calls = network(), []

    def slow(x, t, label=None):
        calls.append(1)
        if len(calls) > 26:  # some are kept by then
            pathlib.Path("begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
        return inner.numpy(inner.predict(x, t, label))

    net = type(inner)(slow, inner.spec)
    net.has_known_prediction = True
    dtool.default_network = lambda device="auto": net
    from dtool.cli import main
    sys.exit(main(WORDS))
"""


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return use_network(monkeypatch, tmp_path, network())


def names():
    return sorted(path.name for path in Path().iterdir())


def wait_for(name, process):
    while not Path(name).exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.01)


@pytest.mark.parametrize("other", [["--seed", 1], ["-o", "a.png"], []], ids=["another key", "another output", "same"])
def test_a_second_comparison_is_refused_and_disturbs_nothing(other, capsys, tmp_path):
    words = [*map(str, WORDS), "-o", "a.json"]
    with started(SLOW.replace("WORDS", repr(words)), tmp_path) as process:
        wait_for("begun", process)
        mine = words[:-2] if "-o" in other else words
        failed(ran(capsys, *mine, *other), 1, ".a.parts is being used by another run", "name another file, with -o")
        with pytest.raises(DtoolError, match="is being used by another run"):
            dtool.compare(network(), ["ddim"], steps=2, keep=tmp_path / ".a.parts")
        assert ran(capsys, *WORDS, "-o", "b.json").code == 0, "another file is free"
        Path("go").touch()
        assert process.wait() == 0, process.stderr.read().decode()
    assert names() == ["a.json", "b.json", "begun", "go"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_lock_ends_with_its_process_and_the_images_stay_what_they_are(end, capsys, tmp_path, stub):
    """Killed, or interrupted; then another seed's comparison, then the first one again: each has its own images."""
    words = [*map(str, WORDS), "-o", "a.json"]
    with started(SLOW.replace("WORDS", repr(words)), tmp_path) as process:
        wait_for("begun", process)
        process.send_signal(end)
        process.wait()
    kept = {path.name for path in Path(".a.parts").iterdir()}
    assert kept
    assert Path(".a.parts.lock").exists() == (end == signal.SIGKILL)
    second = ran(capsys, *WORDS, "-o", "a.json", "--seed", 1)
    assert second.code == 0, second.err
    assert {path.name for path in Path(".a.parts").iterdir()} == kept
    assert not Path(".a.parts.lock").exists()
    assert ran(capsys, *words).code == 0
    assert names() == ["a.json", "begun"]
