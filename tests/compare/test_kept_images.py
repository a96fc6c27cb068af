"""Images that are kept while a comparison runs."""

from __future__ import annotations

import errno
import io
import zipfile

import numpy as np
import pytest

import dtool
from dtool.compare.kept_images import ImageCache, make_cache_key
from dtool.errors import DtoolError
from dtool.util import locks
from tests.support.archives import WRONG
from tests.support.commandline import SHAPE, network


def images(count, seed):
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_was_written_is_read(seed, tmp_path):
    parts = ImageCache(tmp_path / "p", {"seed": seed})
    first, second, other = images(5, seed), images(3, seed + 10), images(2, seed + 20)
    parts.write("abc", 0, first)
    parts.write("abc", 5, second)
    parts.write("def", 0, other)
    again = ImageCache(tmp_path / "p", {"seed": seed})
    saved_images = again.read("abc")
    assert (saved_images == np.concatenate([first, second])).all()
    assert (again.read("def") == other).all()
    assert again.read("ghi") is None


def test_after_a_gap_nothing_counts(tmp_path):
    parts = ImageCache(tmp_path / "p", {})
    parts.write("a", 0, images(4, 0))
    parts.write("a", 9, images(4, 1))
    assert len(parts.read("a")) == 4


def file_of(folder, plan, first):
    [path] = folder.glob(f"*-{plan}-{first}.npz")
    return path


def test_a_broken_file_is_as_good_as_none(tmp_path):
    parts = ImageCache(tmp_path / "p", {})
    for first in (0, 4):
        parts.write("a", first, images(4, first))
    path = file_of(tmp_path / "p", "a", 4)
    path.write_bytes(path.read_bytes()[:90])
    assert len(parts.read("a")) == 4
    file_of(tmp_path / "p", "a", 0).write_bytes(b"")
    assert parts.read("a") is None


def test_a_part_that_is_not_what_its_name_says_is_as_good_as_none(tmp_path):
    """Another plan's, other images of the plan, another key's, one that says nothing of itself, changed numbers."""
    parts, other = ImageCache(tmp_path / "p", {"seed": 0}), ImageCache(tmp_path / "p", {"seed": 1})
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
    one, other = ImageCache(tmp_path / "p", {"seed": 0}), ImageCache(tmp_path / "p", {"seed": 1})
    one.write("a", 0, images(4, 0))
    assert other.read("a") is None
    assert not other.has_images
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
    parts = ImageCache(tmp_path, {"seed": 0})
    parts.write("a", 0, images(4, 0))
    parts.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(mine)
    assert {(tmp_path / name).read_text() for name in mine} == {"keep"}


def test_the_key_knows_the_network_by_what_it_answers():
    one = dtool.network(lambda x, t: 0.5 * x, shape=SHAPE)
    same = dtool.network(lambda x, t: x / 2, shape=SHAPE)
    other = dtool.network(lambda x, t: 0.5001 * x, shape=SHAPE)
    assert make_cache_key(one, n=3) == make_cache_key(same, n=3)
    assert make_cache_key(one, n=3) != make_cache_key(other, n=3)
    assert make_cache_key(one, n=3) != make_cache_key(one, n=4)
    assert make_cache_key(network()) == make_cache_key(network())
    late = dtool.network(lambda x, t: 0.5 * x + (t > 900).reshape(-1, 1, 1, 1) * 1e-3, shape=SHAPE)
    assert make_cache_key(one) != make_cache_key(late), "they differ at the noisiest times alone"


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(DtoolError, match="can't be written"):
        ImageCache(tmp_path / "no" / "p", {}).write("a", 0, images(1, 0))
    (tmp_path / "file").write_text("")
    with pytest.raises(DtoolError, match="can't be written"):
        ImageCache(tmp_path / "file", {})


def test_nothing_kept_leaves_no_folder(tmp_path):
    ImageCache(tmp_path / "p", {"seed": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", WRONG)
def test_a_part_that_is_an_archive_of_another_kind_is_as_good_as_none(how, tmp_path):
    parts = ImageCache(tmp_path, {})
    parts.write("abc", 0, np.zeros((4, *SHAPE), np.float32))
    assert len(parts.read("abc")) == 4
    WRONG[how](next(tmp_path.glob("*.npz")))
    assert parts.read("abc") is None


def test_the_archive_in_memory_is_what_was_written():
    held = io.BytesIO()
    np.savez(held, images=np.zeros(3))
    with zipfile.ZipFile(held) as archive:  # parts are read by this: NumPy packs nothing unless it is told to
        assert [info.compress_type for info in archive.infolist()] == [zipfile.ZIP_STORED]


PAIR = ["ddim", "ddpm:sigma=none"]
OPTIONS = {"steps": 3, "n": 200, "repeats": 1, "solver": False}


def compare_until_interrupted(net, keep, stop_at, between=lambda: None, seed=0):
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


def make_recorder(calls):
    """A progress that notes what is drawn, other than for timing."""
    return lambda done, total, what: "timing" in what or calls.append(what)


def test_without_locks_two_comparisons_still_do_not_mix(tmp_path, monkeypatch):
    """One seed's comparison begins while another's is drawing, which then goes on: as on a disk that has no locks."""

    def none(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", none)
    net, keep = network(), tmp_path / "parts"
    with pytest.warns(UserWarning, match="no locks are to be had there"):
        compare_until_interrupted(net, keep, 9, lambda: compare_until_interrupted(net, keep, 7, seed=1))
    for seed in (1, 0):
        calls: list[str] = []
        with pytest.warns(UserWarning, match="no locks are to be had there"):
            again = dtool.compare(net, PAIR, keep=keep, seed=seed, progress=make_recorder(calls), **OPTIONS)
        whole = dtool.compare(net, PAIR, seed=seed, **OPTIONS)
        assert (again.images == whole.images).all()
        assert (again.rmse == whole.rmse).all()
        assert len(calls) < 2 * 3 * 3, "it went on"
