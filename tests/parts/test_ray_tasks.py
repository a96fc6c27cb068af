"""Blocks as tasks of Ray, in this process: order, how many at a time, what is cancelled, and what is lost."""

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.parts import divide, for_each_block_on_ray, ray_tasks
from dtool.parts.filling import State, fill_folder
from dtool.parts.ray_tasks import fill_by_ray
from tests.support import block_functions
from tests.support.block_functions import list_files, make_filling, open_prototypes
from tests.support.fake_ray import FakeRay


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match="Ray, which is not installed") as caught:
        ray_tasks._import_ray()
    assert "[ray]" in caught.value.hint


@pytest.fixture
def ray(monkeypatch):
    """What stands in for Ray, where that is not installed."""
    fake = FakeRay()
    monkeypatch.setattr(ray_tasks, "_import_ray", lambda: fake)
    return fake


def test_results_come_in_the_order_of_the_ids_and_some_at_a_time(ray):
    blocks = divide(20, 1)
    done, ray.last_first = [], True
    results = list(for_each_block_on_ray(None, block_functions.count_ids, blocks, gpus=1, on_done=done.append))
    assert sorted(done) == list(blocks)
    assert done != list(blocks), "they were not ready in order"
    assert results == [(block.first, 1) for block in blocks]
    assert ray.most == ray_tasks.AHEAD * ray.cores
    assert ray.given == {"max_retries": ray_tasks.MAX_RETRIES, "num_cpus": 1, "num_gpus": 1}
    assert not ray.connected


@pytest.mark.parametrize("is_lent", [False, True])
def test_leaving_the_iterator_cancels_what_is_outstanding(ray, is_lent):
    """A connection of our own is closed, and its tasks with it; one that was there stays, without them."""
    ray.connected = is_lent
    results = for_each_block_on_ray(None, block_functions.count_ids, divide(20, 1))
    next(results)
    assert ray.outstanding
    results.close()
    assert not ray.outstanding
    assert ray.connected == is_lent


def test_a_cluster_that_is_connected_stays_so(ray):
    ray.connected = True
    assert len(list(for_each_block_on_ray(None, block_functions.count_ids, divide(2, 1)))) == 2
    assert ray.connected


def test_a_block_that_the_cluster_loses_is_named(ray):
    ray.loses = 1
    with pytest.raises(
        DtoolError, match=r"images 1 to 1: the cluster could not do them \(WorkerCrashedError"
    ) as caught:
        list(for_each_block_on_ray(None, block_functions.count_ids, divide(3, 1)))
    assert "run the command again" in caught.value.hint
    assert not ray.outstanding - {1}


def test_no_cluster_is_one_line(ray):
    ray.is_there = False
    with pytest.raises(
        DtoolError, match=r"no Ray cluster at auto \(Could not find any running Ray instance\.\)"
    ) as caught:
        list(for_each_block_on_ray(None, block_functions.count_ids, divide(3, 1)))
    assert "ray start --head" in caught.value.hint


def test_a_folder_that_a_cluster_fills_is_that_of_one_process(ray, tmp_path):
    here, there = (make_filling(tmp_path / name, model=open_prototypes) for name in ("here", "there"))
    blocks = list(here.manifest.blocks)
    fill_folder(here, blocks)
    fill_folder(there, blocks[:1])
    done = []
    assert fill_by_ray(there, blocks, on_done=done.append).images == {State.THERE: 3, State.DRAWN: 8}
    assert sorted(done) == [2, 3, 3, 3], "how many images of each block, the one that is there too"
    assert list_files(here.folder) == list_files(there.folder)
    assert ray.given["num_gpus"] == 0
