"""Runs of a sampler's file side by side, of one thread each: who runs what, and that no bit changes."""

import os

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.run.sampler_calls import group_calls, keep_busy, share_images

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from dtool.onnx import large_weights, parallel_session
from dtool.run import sampler_calls
from tests.support.sampler_files import both, closeness

pytestmark = pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")


def test_images_of_one_size_are_run_some_together():
    """(size of the micro-batches, how many images) of each call."""
    assert group_calls([4, 4, 4, 4, 3], 8) == [(4, 8), (4, 8), (3, 3)]
    assert group_calls([4, 4, 4], 1) == [(4, 4), (4, 4), (4, 4)]
    assert group_calls([], 8) == []


@pytest.mark.parametrize("images", [1, 2, 7, 8, 33])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_all_images_are_shared_out_in_whole_micro_batches(images, size, workers):
    calls = group_calls([size] * -(-images // size), 32)
    shared = [share_images(np.arange(count), size, workers) for _, count in calls]
    for parts, (_, count) in zip(shared, calls, strict=True):
        assert len(parts) <= workers
        assert np.array_equal(np.concatenate(parts), np.arange(count))
        assert all(len(part) % size == 0 for part in parts)
        assert max(map(len, parts)) == size * -(-count // size // workers)
    rounds = sum(max(map(len, parts)) for parts in shared) // size
    batches = sum(count for _, count in calls) // size
    assert keep_busy(calls, workers) == (batches / (rounds * workers) >= 0.9)


@pytest.fixture
def counted(monkeypatch):
    """Two workers wherever the tests run, and the runs that were made together."""
    together = []
    monkeypatch.setattr(parallel_session, "count_cores", lambda: 2)
    monkeypatch.setattr(sampler_calls, "MIN_EVALUATIONS", 1)
    run = parallel_session.ParallelSession.run_together

    def record(self, outputs, feeds):
        together.append([len(feed["ids"]) for feed in feeds])
        return run(self, outputs, feeds)

    monkeypatch.setattr(parallel_session.ParallelSession, "run_together", record)
    return together


@pytest.mark.parametrize("largest", [1 << 26, 0], ids=["both sessions kept", "one session kept"])
@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m/karras"])
def test_the_same_bits_side_by_side(recipe, largest, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(parallel_session, "KEEP_BOTH", largest)
    _, fused = both(tmp_path, recipe, shape=(3, 12, 12), classes=3, guidance=2.0)
    other = dtool.load(tmp_path / "app.onnx", device="cpu")
    other.workers = 1
    labels = [0, -1, 1, 2, 0, 1, 2, -1]
    one, two = (dtool.sample(net, fused.plan, labels=labels, n=8, seed=5, trace=True) for net in (fused, other))
    assert len(counted) == 2, "the trial and the run"
    assert sorted(counted[1]) == [4, 4]
    assert np.array_equal(one.x0, two.x0)
    assert np.array_equal(one.trace.x, two.trace.x)
    assert np.array_equal(one.trace.x0, two.trace.x0)
    alone = dtool.sample(fused, fused.plan, ids=[6], labels=[2], seed=5)
    assert np.array_equal(alone.x0[0], one.x0[6])


def test_one_thread_that_gives_other_bits_is_not_used(tmp_path, counted, monkeypatch):
    host, fused = both(tmp_path, "ddim", shape=(3, 12, 12))
    run = fused.side_by_side._execution.run_together
    monkeypatch.setattr(
        fused.side_by_side._execution, "run_together", lambda *given: [[a + 1e-6 for a in p] for p in run(*given)]
    )
    found = dtool.sample(fused, fused.plan, n=8, seed=5).x0
    assert len(counted) == 1, "the trial alone"
    assert closeness(found, dtool.sample(host, fused.plan, n=8, seed=5).x0) < 1e-6


def test_few_images_and_short_runs_take_all_threads(tmp_path, counted, monkeypatch):
    _, fused = both(tmp_path, "ddim", shape=(3, 12, 12))
    dtool.sample(fused, fused.plan, n=1)
    dtool.sample(fused, fused.plan, n=3, batch_size=1)
    monkeypatch.setattr(sampler_calls, "MIN_EVALUATIONS", 1000)
    dtool.sample(fused, fused.plan, n=8, batch_size=1)
    assert counted == []


def test_a_failure_is_told_once_all_runs_are_over(tmp_path, counted):
    _, fused = both(tmp_path, "ddim", shape=(3, 12, 12))
    feed = fused._feed_trial(2, 1, 3, doubled=False)
    with pytest.raises(DtoolError, match="ONNX Runtime cannot run the network"):
        fused.side_by_side._execution.run_together(["images"], [feed, feed | {"bounds": np.zeros(3, np.float32)}])
    assert len(fused.side_by_side._execution.run_together(["images"], [feed, feed])) == 2


def test_a_large_file_that_was_changed_is_not_mixed_with_what_it_was(tmp_path, counted, monkeypatch):
    """Its weights are read again for another session: not if they may be others by now."""
    monkeypatch.setattr(large_weights, "LARGE_FILE", 0)
    monkeypatch.setattr(large_weights, "LARGE_WEIGHT", 64)
    _, fused = both(tmp_path, "ddim", shape=(3, 12, 12))
    feed = fused._feed_trial(1, 1, 3, doubled=False)
    os.utime(tmp_path / "app.onnx", ns=(0, 0))
    with pytest.raises(DtoolError, match="was changed while it was in use"):
        fused.side_by_side._execution.run_together(["images"], [feed])
    assert dtool.sample(fused, fused.plan, n=8).x0.shape == (8, 3, 12, 12), "what is loaded still runs"
