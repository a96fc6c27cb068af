"""Rounds whose blocks several processes draw into one folder: whoever draws them, all end with the same images."""

import threading

import pytest

import dtool
from dtool.compare.work_sharing import WorkSharing
from dtool.errors import DtoolError
from dtool.parts.share import Share
from dtool.util.locks import hold_lock
from tests.support.block_functions import open_gaussians

RECIPES = ["ddim", "heun", "dpmpp-2m"]


def recommend(folder, share=(0, 1), **options):
    sharing = WorkSharing(folder=folder, share=Share(*share), opener=open_gaussians)
    return dtool.recommend(open_gaussians(), calls=3, recipes=RECIPES, sharing=sharing, **options)


@pytest.fixture(scope="module")
def alone():
    return recommend(None)


def test_parts_that_come_one_after_another_end_with_the_same(alone, tmp_path):
    assert recommend(tmp_path, (2, 3)) == alone, "it has drawn what the others did not"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert recommend(tmp_path, (0, 3)) == alone
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")} == before


def test_parts_at_the_same_time_end_with_the_same(alone, tmp_path):
    found = {}
    threads = [threading.Thread(target=lambda k=k: found.setdefault(k, recommend(tmp_path, (k, 2)))) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: alone, 1: alone}


def test_a_block_that_another_is_drawing_is_waited_for(alone, tmp_path):
    recommend(tmp_path)
    path = min(tmp_path.glob("*.npz"))
    kept = path.read_bytes()
    path.unlink()
    is_held = threading.Event()

    def draw_slowly():
        with hold_lock(path, "held"):
            is_held.set()
            other.join(timeout=1)  # it is still waiting
            path.with_suffix(".tmp").write_bytes(kept)
            path.with_suffix(".tmp").replace(path)

    found = []
    other = threading.Thread(target=lambda: (is_held.wait(60), found.append(recommend(tmp_path))))
    holder = threading.Thread(target=draw_slowly)
    other.start()
    holder.start()
    holder.join()
    other.join()
    assert found == [alone]
    assert path.read_bytes() == kept


def test_an_altered_block_is_refused_and_stays(alone, tmp_path):
    recommend(tmp_path)
    path = min(tmp_path.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DtoolError, match=f"{path.name} is truncated, or was altered"):
        recommend(tmp_path)
    assert len(path.read_bytes()) == 100
