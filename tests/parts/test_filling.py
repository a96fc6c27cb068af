"""Folders that are filled on any layout are equal; what is there is verified, what is missing drawn, nothing lost."""

import os
import shutil

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.parts.block_file import find_temporaries, name_path
from dtool.parts.filling import State, fill_block, fill_folder, inspect, look_at
from dtool.parts.merging import merge
from dtool.parts.share import Share
from dtool.util.files import WriteError
from dtool.util.locks import hold_lock
from dtool.util.pictures import to_pixels
from tests.support.block_functions import DyingOpener, list_files, make_filling

KINDS = ("npz", "png")


def fill(filling, blocks=None, **options):
    return fill_folder(filling, list(filling.manifest.blocks) if blocks is None else blocks, **options)


def test_folders_of_different_layouts_are_equal_byte_for_byte(tmp_path):
    """One process; three parts, the last first; seven workers, one of them killed."""
    one, parts, seven = (tmp_path / name for name in ("one", "parts", "seven"))
    fill(make_filling(one))
    for index in (2, 0, 1):
        again = make_filling(parts)
        fill(again, Share(index, 3).take(again.manifest.blocks))
    flag = tmp_path / "flag"
    tally = fill(make_filling(seven, model=DyingOpener(flag)), workers=7)
    assert flag.exists()
    assert tally.images[State.DRAWN] == 11
    assert list_files(one) == list_files(parts) == list_files(seven)
    for folder in (one, parts, seven):
        merge(folder, tmp_path / f"{folder.name}.npz")
    merged = [(tmp_path / f"{folder.name}.npz").read_bytes() for folder in (one, parts, seven)]
    assert merged[0] == merged[1] == merged[2]


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_alone_reads_what_the_run_gave(tmp_path, kind):
    filling = make_filling(tmp_path / "a", kind)
    fill(filling)
    whole = dtool.sample(filling.job.networks[0], filling.job.tables[0], n=11, seed=5)
    merge(tmp_path / "a", tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", to_pixels(whole.x0), whole.labels)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    if kind == "npz":
        blocks = [np.load(path) for path in sorted((tmp_path / "a").glob("*.npz"))]
        assert np.concatenate([each["x0"] for each in blocks]).tobytes() == whole.x0.tobytes()
        assert np.concatenate([each["ids"] for each in blocks]).tolist() == list(range(11))


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_draws_what_is_missing_and_keeps_the_rest(tmp_path, kind):
    filling = make_filling(tmp_path, kind)
    assert fill(filling).images == {State.DRAWN: 11}
    before = list_files(tmp_path)
    path = name_path(tmp_path, filling.manifest, filling.manifest.blocks[1])
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    stamps = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir() if not each.name.startswith(".")}
    assert fill(make_filling(tmp_path, kind)).images == {State.DRAWN: 3, State.THERE: 8}
    assert list_files(tmp_path) == before
    assert all(each.stat().st_mtime_ns == stamp for each, stamp in stamps.items())


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def replace_by_other(path):
    other = next(each for each in path.parent.glob(f"*{path.suffix}") if each != path)
    path.write_bytes(other.read_bytes())


def pack_again(path):
    """Other numbers in a sound archive."""
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "x0": arrays["x0"] + 1})


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("npz", damage) for damage in (cut, alter, empty, replace_by_other, pack_again)),
        *(("png", damage) for damage in (cut, alter, empty, replace_by_other, os.remove)),
    ],
)
def test_a_damaged_block_is_named_and_stays_until_it_may_be_replaced(tmp_path, kind, damage):
    filling = make_filling(tmp_path, kind)
    fill(filling)
    whole = list_files(tmp_path)
    block = filling.manifest.blocks[1]
    path = name_path(tmp_path, filling.manifest, block)
    damage(path if kind == "npz" else path / "00000004.png")
    damaged = list_files(tmp_path)
    last = name_path(tmp_path, filling.manifest, filling.manifest.blocks[-1])
    shutil.rmtree(last) if last.is_dir() else last.unlink()
    tally = fill(filling)
    assert tally.images == {State.THERE: 6, State.DAMAGED: 3, State.DRAWN: 2}
    assert list_files(tmp_path) == damaged, "all else is drawn, and this is as it was"
    with pytest.raises(DtoolError, match=r"1 block is damaged: 00000003-00000005") as caught:
        tally.require_sound(tmp_path)
    assert "--redraw" in caught.value.hint
    with pytest.raises(DtoolError, match=r"00000003-00000005.* is damaged"):
        merge(tmp_path, tmp_path.parent / "merged.npz")
    assert not (tmp_path.parent / "merged.npz").exists()
    again = type(filling)(job=filling.job, folder=tmp_path, manifest=filling.manifest, redraw=True)
    assert fill(again).images == {State.THERE: 8, State.DRAWN: 3}
    assert list_files(tmp_path) == whole


def test_a_block_that_another_run_draws_is_left_to_it(tmp_path):
    filling = make_filling(tmp_path)
    blocks = list(filling.manifest.blocks)
    with hold_lock(name_path(tmp_path, filling.manifest, blocks[0]), "taken"):
        tally = fill(filling)
        assert tally.images == {State.ELSEWHERE: 3, State.DRAWN: 8}
        assert look_at(tmp_path, filling.manifest, blocks[0]) is None
    assert fill_block(filling, blocks[0]).state is State.DRAWN
    assert {outcome.state for outcome in inspect(tmp_path, filling.manifest)} == {State.THERE}


def test_two_runs_into_one_folder_draw_each_block_once(tmp_path):
    """The second comes to a block while the first draws it, and to others afterwards."""
    first, second = make_filling(tmp_path), make_filling(tmp_path)
    states = []

    def interleave(_images):
        if len(states) < 4:
            states.append(fill_block(second, first.manifest.blocks[len(states)]).state)

    assert fill(first, on_done=interleave).images == {State.DRAWN: 11}
    assert states == [State.THERE] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_stops_the_run_and_what_is_drawn_stays(tmp_path, kind):
    resource = pytest.importorskip("resource")
    filling = make_filling(tmp_path, kind)
    blocks = list(filling.manifest.blocks)
    fill(filling, blocks[:1])
    before = list_files(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(WriteError, match=r"can't be written \(File too large\)") as caught:
            fill(filling)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "free some space" in caught.value.hint
    assert list_files(tmp_path) == before
    assert fill(filling).images == {State.THERE: 3, State.DRAWN: 8}


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path):
    filling = make_filling(tmp_path)
    block = filling.manifest.blocks[0]
    name = name_path(tmp_path, filling.manifest, block).name[:40]
    old, new = tmp_path / f".{name}.aaaa.tmp", tmp_path / f".{name}.bbbb.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert list(find_temporaries(tmp_path, block)) == [old]
    fill(filling)
    assert not old.exists()
    assert new.exists()
    assert not any(path.name.endswith(".lock") for path in tmp_path.iterdir())
