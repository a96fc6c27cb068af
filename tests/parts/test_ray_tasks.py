"""Blocks as tasks of a Ray cluster: equal results, tasks that are tried again, and clusters that are not there."""

import os

import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.parts import Job, divide, for_each_block, for_each_block_on_ray, ray_tasks
from tests.support import block_functions
from tests.support.block_functions import open_gaussians
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
