"""One comparison, and one training, at a time for a file: what two at once would do to each other."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commandline import failed, network, ran, started

import dtool
from dtool import locks
from dtool.errors import DtoolError
from dtool.locks import locked

WORDS = ("compare", "ddim", "ddpm:sigma=none", "--steps", 3, "-n", 200, "--repeats", 1, "--no-solver", "-q")
SLOW = """
    import pathlib, sys, time
    import numpy as np
    import dtool
    from commandline import network

    inner, calls = network(), []

    def slow(x, t, label=None):
        calls.append(1)
        if len(calls) > 26:  # some are kept by then
            pathlib.Path("begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
        return inner.numpy(inner.predict(x, t, label))

    net = type(inner)(slow, inner.spec)
    dtool.default_network = lambda device="auto": net
    from dtool.cli import main
    sys.exit(main(WORDS))
"""


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    net = network()
    monkeypatch.setattr(dtool, "default_network", lambda device="auto", **_: net)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    return net


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


def halves(net, keep, stop_at, between=lambda: None, seed=0):
    """A comparison that calls `between` once some images are kept, and is interrupted later."""
    seen = []

    def tell(done, total, what):
        if "timing" not in what:
            seen.append(what)
        if len(seen) == 4:
            seen.append("")
            between()
        if len(seen) >= stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dtool.compare(net, PAIR, progress=tell, keep=keep, seed=seed, **OPTIONS)


PAIR = ["ddim", "ddpm:sigma=none"]
OPTIONS = {"steps": 3, "n": 200, "repeats": 1, "solver": False}


def test_without_locks_two_comparisons_still_do_not_mix(tmp_path, monkeypatch):
    """One seed's comparison begins while another's is drawing, which then goes on: as on a disk that has no locks."""

    def none(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", none)
    net, keep = network(), tmp_path / "parts"
    with pytest.warns(UserWarning, match="no locks are to be had there"):
        halves(net, keep, 9, lambda: halves(net, keep, 7, seed=1))
    for seed in (1, 0):
        calls: list[str] = []
        with pytest.warns(UserWarning, match="no locks are to be had there"):
            again = dtool.compare(net, PAIR, keep=keep, seed=seed, progress=_into(calls), **OPTIONS)
        whole = dtool.compare(net, PAIR, seed=seed, **OPTIONS)
        assert (again.images == whole.images).all()
        assert (again.rmse == whole.rmse).all()
        assert len(calls) < 2 * 3 * 3, "it went on"


def _into(calls):
    """A progress that notes what is drawn, other than for timing."""
    return lambda done, total, what: "timing" in what or calls.append(what)


def test_a_lock_is_for_one_at_a_time_and_leaves_nothing(tmp_path):
    path, link = tmp_path / "f.pt", tmp_path / "other"
    link.symlink_to(tmp_path)
    with locked(path, "f.pt is being trained"):
        for name in (path, link / "f.pt", tmp_path / "." / "f.pt"):
            with (
                pytest.raises(DtoolError, match=r"f\.pt is being trained by another run"),
                locked(name, "f.pt is being trained"),
            ):
                pass
        with locked(tmp_path / "g.pt", "g.pt"):
            pass
    with pytest.raises(KeyError), locked(path, ""):
        raise KeyError
    with locked(path, ""):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


def test_a_lock_that_is_removed_while_it_is_taken_is_taken_again(tmp_path, monkeypatch):
    """The run that held it ends between our opening its file and our locking it: the file has no name any more."""
    whole, done = locks._lock, []

    def late(handle):
        if not done:
            done.append(1)
            (tmp_path / ".f.lock").unlink()
        whole(handle)

    monkeypatch.setattr(locks, "_lock", late)
    with locked(tmp_path / "f", ""):
        assert (tmp_path / ".f.lock").exists()
        with pytest.raises(DtoolError), locked(tmp_path / "f", ""):
            pass


def test_a_folder_where_no_lock_can_be_made(tmp_path):
    with pytest.raises(DtoolError, match="can't be written"), locked(tmp_path / "no" / "f", ""):
        pass


def test_two_trainings_of_one_file(capsys, tmp_path):
    pytest.importorskip("accelerate")
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8)).astype(np.uint8)
    np.savez("data.npz", x=images)
    words = ["train", "data.npz", "-o", "m.pt", "--width", 8, "--multipliers", 1, "--attention", "none", "-q"]
    words += ["--batch-size", 4, "--warmup", 0, "--device", "cpu"]
    with locked(tmp_path / "m.pt", "m.pt is being trained"):
        failed(ran(capsys, *words, "--steps", 1), 1, "m.pt is being trained by another run", "name another file")
        assert not Path("m.pt").exists()
    assert ran(capsys, *words, "--steps", 1).code == 0
    before = Path("m.pt").read_bytes()
    with locked(tmp_path / "m.pt", "m.pt is being trained"):
        for how in ("--resume", "--force"):
            failed(ran(capsys, *words, "--steps", 2, how), 1, "m.pt is being trained by another run")
    assert Path("m.pt").read_bytes() == before
    assert ran(capsys, *words, "--steps", 2, "--resume").code == 0
    assert names() == ["data.npz", "m.pt"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the process are POSIX")
def test_a_disk_that_is_full_for_a_while_costs_no_training(capsys, monkeypatch):
    pytest.importorskip("accelerate")
    from dtool.files import cannot_write
    from dtool.networks import checkpoint

    whole, saves = checkpoint.save, []

    def save(path, **content):
        saves.append(path)
        if len(saves) == 1:
            raise cannot_write(path, OSError(errno.ENOSPC, "No space left on device"))
        return whole(path, **content)

    monkeypatch.setattr(checkpoint, "save", save)
    np.savez("data.npz", x=np.random.default_rng(0).integers(0, 255, (40, 8, 8)).astype(np.uint8))
    words = ["train", "data.npz", "-o", "m.pt", "--width", 8, "--multipliers", 1, "--attention", "none"]
    words += ["--batch-size", 4, "--warmup", 0, "--device", "cpu", "--steps", 3, "--save-every", 1]
    result = ran(capsys, *words)
    assert (result.code, result.out) == (0, "m.pt\n")
    assert "warning: after 1 steps, m.pt: can't be written (No space left on device); training goes on" in result.err
    assert len(saves) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal")
def test_a_terminal_that_is_closed_stops_a_training_after_its_step():
    from dtool.training.interrupt import deferred

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        with deferred() as interrupt:
            assert not interrupt.requested
            signal.raise_signal(signal.SIGHUP)
            assert interrupt.requested
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with deferred() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.requested, "as under nohup"
    finally:
        signal.signal(signal.SIGHUP, before)
