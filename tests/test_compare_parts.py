"""Images that are kept while a comparison runs."""

from __future__ import annotations

import numpy as np
import pytest
from commandline import SHAPE, network

import dtool
from dtool.compare.parts import Parts, key_of, remove
from dtool.errors import DtoolError


def images(count, seed):
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_was_written_is_read(seed, tmp_path):
    parts = Parts(tmp_path / "p", {"seed": seed})
    first, second, other = images(5, seed), images(3, seed + 10), images(2, seed + 20)
    parts.write("abc", 0, first)
    parts.write("abc", 5, second)
    parts.write("def", 0, other)
    again = Parts(tmp_path / "p", {"seed": seed})
    found = again.read("abc")
    assert (found == np.concatenate([first, second])).all()
    assert (again.read("def") == other).all()
    assert again.read("ghi") is None


def test_after_a_gap_nothing_counts(tmp_path):
    parts = Parts(tmp_path / "p", {})
    parts.write("a", 0, images(4, 0))
    parts.write("a", 9, images(4, 1))
    assert len(parts.read("a")) == 4


def test_a_broken_file_is_as_good_as_none(tmp_path):
    parts = Parts(tmp_path / "p", {})
    for first in (0, 4):
        parts.write("a", first, images(4, first))
    path = tmp_path / "p" / "a-4.npz"
    path.write_bytes(path.read_bytes()[:90])
    assert len(parts.read("a")) == 4
    (tmp_path / "p" / "a-0.npz").write_bytes(b"")
    assert parts.read("a") is None


def test_another_key_starts_anew_and_touches_nothing_else(tmp_path):
    parts = Parts(tmp_path / "p", {"seed": 0})
    parts.write("a", 0, images(4, 0))
    (tmp_path / "p" / "mine.txt").write_text("keep")
    other = Parts(tmp_path / "p", {"seed": 1})
    assert other.read("a") is None
    remove(tmp_path / "p")
    assert [p.name for p in (tmp_path / "p").iterdir()] == ["mine.txt"]
    (tmp_path / "p" / "mine.txt").unlink()
    remove(tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_the_key_knows_the_network_by_what_it_answers():
    one = dtool.network(lambda x, t: 0.5 * x, shape=SHAPE)
    same = dtool.network(lambda x, t: x / 2, shape=SHAPE)
    other = dtool.network(lambda x, t: 0.5001 * x, shape=SHAPE)
    assert key_of(one, n=3) == key_of(same, n=3)
    assert key_of(one, n=3) != key_of(other, n=3)
    assert key_of(one, n=3) != key_of(one, n=4)
    assert key_of(network()) == key_of(network())


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(DtoolError, match="can't be written"):
        Parts(tmp_path / "no" / "p", {}).write("a", 0, images(1, 0))
    (tmp_path / "file").write_text("")
    with pytest.raises(DtoolError, match="can't be written"):
        Parts(tmp_path / "file", {})


def test_nothing_kept_leaves_no_folder(tmp_path):
    Parts(tmp_path / "p", {"seed": 1})
    assert list(tmp_path.iterdir()) == []
