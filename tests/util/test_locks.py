"""One run at a time for a file."""

from __future__ import annotations

import pytest

from dtool.errors import DtoolError
from dtool.util import locks
from dtool.util.locks import hold_lock


def test_a_lock_is_for_one_at_a_time_and_leaves_nothing(tmp_path):
    path, link = tmp_path / "f.pt", tmp_path / "other"
    link.symlink_to(tmp_path)
    with hold_lock(path, "f.pt is being trained"):
        for name in (path, link / "f.pt", tmp_path / "." / "f.pt"):
            with (
                pytest.raises(DtoolError, match=r"f\.pt is being trained by another run"),
                hold_lock(name, "f.pt is being trained"),
            ):
                pass
        with hold_lock(tmp_path / "g.pt", "g.pt"):
            pass
    with pytest.raises(KeyError), hold_lock(path, ""):
        raise KeyError
    with hold_lock(path, ""):
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
    with hold_lock(tmp_path / "f", ""):
        assert (tmp_path / ".f.lock").exists()
        with pytest.raises(DtoolError), hold_lock(tmp_path / "f", ""):
            pass


def test_a_folder_where_no_lock_can_be_made(tmp_path):
    with pytest.raises(DtoolError, match="can't be written"), hold_lock(tmp_path / "no" / "f", ""):
        pass
