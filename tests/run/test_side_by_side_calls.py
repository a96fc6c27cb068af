import numpy as np
import pytest

import dtool
from dtool.run import side_by_side_calls
from dtool.run.side_by_side_calls import SideBySideCalls, split_batch


@pytest.mark.parametrize(
    ("batch", "workers", "sizes"),
    [(1, 2, [1]), (2, 2, [1, 1]), (3, 2, [3]), (9, 2, [5, 4]), (19, 2, [10, 9]), (64, 4, [16] * 4), (5, 4, [5])],
)
def test_parts_are_nearly_equal_or_the_whole(batch, workers, sizes):
    parts = split_batch(batch, workers)
    assert [part.stop - part.start for part in parts] == sizes
    assert [k for part in parts for k in range(batch)[part]] == [*range(batch)]


def split_four(monkeypatch, changes, shortest=0.0):
    monkeypatch.setattr(side_by_side_calls, "MIN_EVALUATIONS", 0)
    monkeypatch.setattr(side_by_side_calls, "MIN_SECONDS", shortest)

    def run(feeds, alone):
        return [2 * feed["x"] + (changes if alone else 0) for feed in feeds]

    return SideBySideCalls(lambda: "alone", run, lambda batch: {"x": np.arange(float(batch))}, 2).split(4)


def test_they_are_run_side_by_side_only_if_no_bit_changes(monkeypatch):
    assert len(split_four(monkeypatch, 0)) == 2
    assert len(split_four(monkeypatch, 1e-12)) == 1


def test_short_calls_stay_whole(monkeypatch):
    assert len(split_four(monkeypatch, 0, shortest=60.0)) == 1


def test_nothing_is_tried_before_it_pays():
    calls = SideBySideCalls(lambda: pytest.fail("opened"), lambda *_: pytest.fail("tried"), dict, 2)
    assert len(calls.split(4)) == 1


def test_a_network_runs_parts_with_the_same_bits(monkeypatch):
    """In arrays that are bound, and in calls; images are what they are alone."""
    monkeypatch.setattr("dtool.run.onnxruntime_backend.count_cores", lambda: 2)
    network = dtool.default_network(device="cpu")
    whole = dtool.sample(network, "ddim", steps=2, n=8, seed=3, guidance=1).x0
    x, label = np.random.default_rng(0).standard_normal((8, 1, 28, 28), dtype=np.float32), np.arange(8)
    before = network.predict(x, np.full(8, 400.0), label)
    monkeypatch.setattr(side_by_side_calls, "MIN_EVALUATIONS", 0)
    monkeypatch.setattr(side_by_side_calls, "MIN_SECONDS", 0)
    after = network.predict(x, np.full(8, 400.0), label)
    assert network._side_by_side.tried[8]
    assert np.array_equal(before, after)
    assert np.array_equal(dtool.sample(network, "ddim", steps=2, n=8, seed=3, guidance=1).x0, whole)
    assert np.array_equal(dtool.sample(network, "ddim", steps=2, n=1, seed=3, guidance=1).x0, whole[:1])
