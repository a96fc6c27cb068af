"""Blocks as tasks of a Ray cluster: equal results, tasks that are tried again, and clusters that are not there."""

import os

import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.parts import Job, divide, for_each_block, for_each_block_on_ray, ray_tasks
from dtool.parts.filling import State, fill_folder
from dtool.parts.ray_tasks import fill_by_ray
from tests.support import block_functions
from tests.support.block_functions import list_files, make_filling, open_gaussians, open_prototypes
from tests.support.fake_ray import FakeRay
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes on this machine; yields it, so that a test can take a node away."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'dtool-diffusion[ray]'")
    utils = pytest.importorskip("ray.cluster_utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        for name in ("RAY_raylet_start_wait_time_s", "RAY_agent_register_timeout_ms"):  # of a machine that is busy
            patch.setenv(name, "300000")
        made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.second = made.add_node(num_cpus=1)
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()
        made.shutdown()


def test_a_task_whose_worker_is_killed_is_tried_again(cluster, tmp_path):
    blocks = divide(6, 1)
    assert list(for_each_block_on_ray(tmp_path, block_functions.die_once, blocks)) == list(range(6))
    assert (tmp_path / "died").exists()


def test_errors_of_tasks_are_raised_here(cluster):
    with pytest.raises(UsageError, match="no images 0 to 0") as caught:
        list(for_each_block_on_ray("ours", block_functions.fail, divide(1, 1)))
    assert caught.value.hint == "choose others"


def test_a_cluster_draws_the_same_bits_though_a_node_goes_away(cluster):
    job = Job(model=open_gaussians, plans="ddpm", steps=4, count=24, size=2, seed=1)
    here = list(for_each_block(job, block_functions.draw, job.blocks))
    there = []
    for images in for_each_block_on_ray(job, block_functions.draw, job.blocks):
        there.append(images)
        if len(there) == 2:
            cluster.remove_node(cluster.second)
    assert np.concatenate(there).tobytes() == np.concatenate(here).tobytes()


def test_a_cluster_that_is_not_there_is_told():
    pytest.importorskip("ray", reason="needs Ray: pip install 'dtool-diffusion[ray]'")
    with pytest.raises(DtoolError, match="there is no Ray cluster at auto"):
        list(for_each_block_on_ray(None, block_functions.count_ids, divide(2, 1)))


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
    results = list(for_each_block_on_ray(None, block_functions.count_ids, blocks, gpus=1))
    assert results == [(block.first, 1) for block in blocks]
    assert ray.most == ray_tasks.AHEAD * ray.cores
    assert ray.given == {"max_retries": ray_tasks.MAX_RETRIES, "num_cpus": 1, "num_gpus": 1}
    assert not ray.connected


def test_leaving_the_iterator_cancels_what_is_outstanding(ray):
    results = for_each_block_on_ray(None, block_functions.count_ids, divide(20, 1))
    next(results)
    assert ray.outstanding
    results.close()
    assert not ray.outstanding
    assert not ray.connected


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
    assert fill_by_ray(there, blocks).images == {State.THERE: 3, State.DRAWN: 8}
    assert list_files(here.folder) == list_files(there.folder)
    assert ray.given["num_gpus"] == 0
