"""A real Ray cluster on this machine: workers that are killed, nodes that go away, Ctrl-C, and no cluster at all."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.parts import Job, divide, for_each_block, for_each_block_on_ray
from tests.support import block_functions
from tests.support.block_functions import list_files, open_gaussians
from tests.support.commandline import plain_environment
from tests.support.places import ROOT

pytest.importorskip("ray", reason="needs Ray: pip install 'dtool-diffusion[ray]'")
utils = pytest.importorskip("ray.cluster_utils")

PATIENCE = 60  # seconds in which Ray starts, and a test waits for what its tasks do
HERE = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
NOT_STARTED = "Ray does not start here: "


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one node with one core, to which tests add others; nothing of it is left afterwards."""
    import ray

    made = None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HERE.items():
            patch.setenv(name, value)
        patch.setenv("RAY_raylet_start_wait_time_s", str(PATIENCE))
        patch.setenv("RAY_agent_register_timeout_ms", str(1000 * PATIENCE))
        patch.delenv("RAY_ADDRESS", raising=False)
        try:
            made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
            ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # timeouts of a machine that is busy, in whatever kind Ray has for each
            stop(ray, made)
            pytest.skip(f"{NOT_STARTED}{error}"[:300])
        yield made
        stop(ray, made)


def stop(ray, made):
    ray.shutdown()
    if made is not None:
        made.shutdown()


@pytest.fixture
def second(cluster):
    """Another node of one core, which a test takes away."""
    try:
        node = cluster.add_node(num_cpus=1)
    except Exception as error:
        pytest.skip(f"{NOT_STARTED}{error}"[:300])
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


def wait_for(path):
    """The text of a file, once a task has written it."""
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"no task has written {path.name}"
        time.sleep(0.02)
    return path.read_text()


def test_a_worker_that_is_killed_in_the_middle_of_a_task_costs_nothing(cluster, tmp_path):
    killed = []

    def kill():
        killed.append(int(wait_for(tmp_path / "worker")))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    results = list(for_each_block_on_ray(tmp_path, block_functions.wait_to_be_killed, divide(5, 1)))
    thread.join()
    assert [first for first, _ in results] == list(range(5))
    assert killed[0] not in {pid for first, pid in results if first == 2}, "another worker has done its block"


def test_a_node_that_goes_away_while_its_task_runs_costs_nothing(cluster, second, tmp_path):
    def remove():
        wait_for(tmp_path / "started")
        cluster.remove_node(second, allow_graceful=False)
        (tmp_path / "gone").touch()

    thread = threading.Thread(target=remove)
    thread.start()
    job = (second.node_id, tmp_path)
    results = list(for_each_block_on_ray(job, block_functions.wait_for_the_end_of_a_node, divide(6, 1)))
    thread.join()
    assert results == list(range(6))
    assert (tmp_path / "gone").exists()


def test_a_cluster_draws_the_bits_of_one_process_though_a_node_goes_away(cluster, second):
    job = Job(model=open_gaussians, plans="ddpm", steps=4, count=24, size=2, seed=1)
    here = list(for_each_block(job, block_functions.draw, job.blocks))
    there, done = [], []
    for images in for_each_block_on_ray(job, block_functions.draw, job.blocks, on_done=done.append):
        there.append(images)
        if len(there) == 2:
            cluster.remove_node(second)
    assert np.concatenate(there).tobytes() == np.concatenate(here).tobytes()
    assert sorted(done) == list(job.blocks)


def test_an_error_of_a_task_is_raised_here_and_not_tried_again(cluster):
    with pytest.raises(UsageError, match="no images 0 to 0") as caught:
        list(for_each_block_on_ray("ours", block_functions.fail, divide(1, 1)))
    assert caught.value.hint == "choose others"


def test_leaving_the_iterator_ends_tasks_that_run_and_the_connection_stays(cluster, tmp_path):
    results = for_each_block_on_ray(tmp_path, block_functions.run_on_after_the_first, divide(4, 1))
    assert next(results) == 0
    wait_for(tmp_path / "worker")
    results.close()
    assert wait_for(tmp_path / "ended")
    assert list(for_each_block_on_ray(None, block_functions.count_ids, divide(1, 1))) == [(0, 1)]


def sample(folder, *more, environment=None):
    """`dtool sample` of 40 images of the network inside the package, in blocks of 4."""
    words = ["sample", "--sampler", "ddim", "--steps", "10", "-n", "40", "--block-size", "4", "--into", str(folder)]
    command = [sys.executable, "-m", "dtool", *words, *map(str, more)]
    return subprocess.Popen(
        command, env=plain_environment() | HERE | (environment or {}), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def end(process):
    try:
        out, err = process.communicate(timeout=2 * PATIENCE)
    finally:
        process.kill()
    return process.returncode, out, err


def test_ctrl_c_leaves_whole_blocks_and_the_same_command_goes_on_to_the_same_bytes(cluster, tmp_path):
    pytest.importorskip("onnxruntime")
    there, here = tmp_path / "there", tmp_path / "here"
    process = sample(there, "--ray", cluster.address)
    deadline = time.monotonic() + PATIENCE
    while not list(there.glob("0*.npz")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, _, err = end(process)
    assert code == 130, err
    assert "Traceback" not in err
    kept = list_files(there)
    assert 1 < len(kept) < 11, "the manifest and some of ten blocks"
    assert not [name for name in kept if name.endswith(".tmp")]
    code, out, err = end(sample(there, "--ray", cluster.address))
    assert (code, out.strip()) == (0, str(there)), err
    assert f"{40 - 4 * (len(kept) - 1)} drawn" in err
    assert "there already" in err
    assert end(sample(here))[0] == 0
    assert list_files(there) == list_files(here)
    assert kept.items() <= list_files(here).items()


@pytest.mark.parametrize("is_named", [True, False])
def test_a_cluster_that_is_not_there_is_one_line(tmp_path, is_named):
    """By its address, or where the environment names one that has ended: Ray alone would try for minutes."""
    with socket.socket() as taken:  # bound and not listened to: nobody answers there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = [address] if is_named else []
        code, out, err = end(sample(tmp_path / "there", "--ray", *words, environment={"RAY_ADDRESS": address}))
    lines = [line for line in err.splitlines() if line.startswith(("error:", "hint:"))]
    assert (code, out, len(lines)) == (1, "", 2), err
    assert f"there is no Ray cluster at {address if is_named else 'auto'} " in lines[0]
    assert "ray start --head" in lines[1]
    assert "Traceback" not in err
