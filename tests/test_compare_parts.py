"""Images that are kept while a comparison runs."""

from __future__ import annotations

import numpy as np
import pytest
from commandline import SHAPE, network

import dtool
from dtool.compare.parts import Parts, key_of
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


def file_of(folder, plan, first):
    [path] = folder.glob(f"*-{plan}-{first}.npz")
    return path


def test_a_broken_file_is_as_good_as_none(tmp_path):
    parts = Parts(tmp_path / "p", {})
    for first in (0, 4):
        parts.write("a", first, images(4, first))
    path = file_of(tmp_path / "p", "a", 4)
    path.write_bytes(path.read_bytes()[:90])
    assert len(parts.read("a")) == 4
    file_of(tmp_path / "p", "a", 0).write_bytes(b"")
    assert parts.read("a") is None


def test_a_part_that_is_not_what_its_name_says_is_as_good_as_none(tmp_path):
    """Another plan's, other images of the plan, another key's, one that says nothing of itself, changed numbers."""
    parts, other = Parts(tmp_path / "p", {"seed": 0}), Parts(tmp_path / "p", {"seed": 1})
    parts.write("a", 0, images(4, 0))
    own = file_of(tmp_path / "p", "a", 0)
    whole = own.read_bytes()
    parts.write("b", 0, images(4, 0))
    parts.write("a", 4, images(4, 0))
    other.write("c", 0, images(4, 0))
    for wrong in (file_of(tmp_path / "p", "b", 0), file_of(tmp_path / "p", "a", 4), file_of(tmp_path / "p", "c", 0)):
        own.write_bytes(wrong.read_bytes())
        assert parts.read("a") is None, wrong.name
    np.savez(own, images=images(4, 0))
    assert parts.read("a") is None
    own.write_bytes(whole)
    with np.load(own) as saved:
        about, kept = saved["about"], saved["images"]
    for changed in (kept * np.float32(np.nan), kept + 1, kept[:, :, :-1], kept[:3], kept.astype(np.float64), kept[:0]):
        np.savez(own, images=changed, about=about)
        assert parts.read("a") is None
    own.write_bytes(whole)
    assert len(parts.read("a")) == 8


def test_comparisons_with_other_keys_lose_nothing_to_each_other(tmp_path):
    one, other = Parts(tmp_path / "p", {"seed": 0}), Parts(tmp_path / "p", {"seed": 1})
    one.write("a", 0, images(4, 0))
    assert other.read("a") is None
    assert not other.there
    other.write("a", 0, images(4, 1))
    assert (one.read("a") == images(4, 0)).all()
    assert (other.read("a") == images(4, 1)).all()
    other.clear()
    assert (one.read("a") == images(4, 0)).all()
    [part] = (tmp_path / "p").iterdir()
    (tmp_path / "p" / f".{part.name}.abc.tmp").touch()  # of a run that was killed
    one.clear()
    assert not (tmp_path / "p").exists()


def test_nobody_elses_files_are_touched(tmp_path):
    """Users' files with names much like a part's, in the folder that they told us to keep images in."""
    mine = ["run-1.npz", "key.json", "mine.txt", "0123456789abcdef-a-0.npz", "a-0.npz"]
    for name in mine:
        (tmp_path / name).write_text("keep")
    parts = Parts(tmp_path, {"seed": 0})
    parts.write("a", 0, images(4, 0))
    parts.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(mine)
    assert {(tmp_path / name).read_text() for name in mine} == {"keep"}


def test_the_key_knows_the_network_by_what_it_answers():
    one = dtool.network(lambda x, t: 0.5 * x, shape=SHAPE)
    same = dtool.network(lambda x, t: x / 2, shape=SHAPE)
    other = dtool.network(lambda x, t: 0.5001 * x, shape=SHAPE)
    assert key_of(one, n=3) == key_of(same, n=3)
    assert key_of(one, n=3) != key_of(other, n=3)
    assert key_of(one, n=3) != key_of(one, n=4)
    assert key_of(network()) == key_of(network())
    late = dtool.network(lambda x, t: 0.5 * x + (t > 900).reshape(-1, 1, 1, 1) * 1e-3, shape=SHAPE)
    assert key_of(one) != key_of(late), "they differ at the noisiest times alone"


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(DtoolError, match="can't be written"):
        Parts(tmp_path / "no" / "p", {}).write("a", 0, images(1, 0))
    (tmp_path / "file").write_text("")
    with pytest.raises(DtoolError, match="can't be written"):
        Parts(tmp_path / "file", {})


def test_nothing_kept_leaves_no_folder(tmp_path):
    Parts(tmp_path / "p", {"seed": 1})
    assert list(tmp_path.iterdir()) == []
