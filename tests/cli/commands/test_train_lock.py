"""`dtool train` where another run has its file, and where the disk is full for a while."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import numpy as np
import pytest

from dtool.util.locks import hold_lock
from tests.support.commandline import failed, ran


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_trainings_of_one_file(capsys, tmp_path):
    pytest.importorskip("accelerate")
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8)).astype(np.uint8)
    np.savez("data.npz", x=images)
    words = ["train", "data.npz", "-o", "m.pt", "--width", 8, "--multipliers", 1, "--attention", "none", "-q"]
    words += ["--batch-size", 4, "--warmup", 0, "--device", "cpu"]
    with hold_lock(tmp_path / "m.pt", "m.pt is being trained"):
        failed(ran(capsys, *words, "--steps", 1), 1, "m.pt is being trained by another run", "name another file")
        assert not Path("m.pt").exists()
    assert ran(capsys, *words, "--steps", 1).code == 0
    before = Path("m.pt").read_bytes()
    with hold_lock(tmp_path / "m.pt", "m.pt is being trained"):
        for how in ("--resume", "--force"):
            failed(ran(capsys, *words, "--steps", 2, how), 1, "m.pt is being trained by another run")
    assert Path("m.pt").read_bytes() == before
    assert ran(capsys, *words, "--steps", 2, "--resume").code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["data.npz", "m.pt"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the process are POSIX")
def test_a_disk_that_is_full_for_a_while_costs_no_training(capsys, monkeypatch):
    pytest.importorskip("accelerate")
    from dtool.models import checkpoint
    from dtool.util.files import make_write_error

    whole, saves = checkpoint.save, []

    def save(path, **content):
        saves.append(path)
        if len(saves) == 1:
            raise make_write_error(path, OSError(errno.ENOSPC, "No space left on device"))
        return whole(path, **content)

    monkeypatch.setattr(checkpoint, "save", save)
    np.savez("data.npz", x=np.random.default_rng(0).integers(0, 255, (40, 8, 8)).astype(np.uint8))
    words = ["train", "data.npz", "-o", "m.pt", "--width", 8, "--multipliers", 1, "--attention", "none"]
    words += ["--batch-size", 4, "--warmup", 0, "--device", "cpu", "--steps", 3, "--save-every", 1]
    result = ran(capsys, *words)
    assert (result.code, result.out) == (0, "m.pt\n")
    assert "warning: after 1 steps, m.pt: can't be written (No space left on device); training goes on" in result.err
    assert len(saves) == 3
