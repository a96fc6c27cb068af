"""The benchmark: everyone at every batch, the same work for all, and times of one round."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

import dtool
from dtool.bench import bench
from dtool.bench.ways import BARE, BOUND, FUSED, HOST, ONE_BATCH, Runner
from dtool.errors import UsageError
from tests.support.benchmarking import group_timings
from tests.support.commandline import network, use_network


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_everyone_at_every_batch_and_the_ratios_are_of_one_round(stub):
    told = []
    found = bench(stub, "ddpm", steps=3, batches=(1, 4), rounds=3, batch_size=2, progress=lambda *a: told.append(a))
    times = group_timings(found)
    for n in (1, 4):
        assert {(BARE, n), (ONE_BATCH, n), (HOST, n)} <= times.keys()
        reference = times[found.reference, n].seconds
        for (_, batch), timing in times.items():
            if batch == n:
                assert len(timing.seconds) == 3
                assert timing.ratios == pytest.approx([a / b for a, b in zip(timing.seconds, reference, strict=True)])
                assert timing.images_per_second == pytest.approx(n / sorted(timing.seconds)[1])
    assert found.reference == BARE
    assert BOUND not in {t.name for t in found.timings}  # arrays need no binding
    assert "cannot be exported" in found.skipped["the fused file"]
    assert (found.calls, found.images_at_a_time, found.device) == (3, 2, "cpu")
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == len(times) // 2 * (1 + 4) * 4


def test_all_make_as_many_network_calls(monkeypatch):
    calls = []
    inner = network()

    def fn(x, t, label):
        calls.append(len(x))
        return inner.fn(x, t, label)

    counting = type(inner)(fn, inner.spec)
    counting.is_builtin = True  # whether it mixes images is not tried out
    monkeypatch.setattr("dtool.bench.entrants.is_installed", lambda: False)
    for guidance, rows in ((None, 2), (1.5, 4)):
        calls.clear()
        bench(counting, "heun", steps=3, batches=[5], rounds=1, batch_size=2, guidance=guidance)
        own = dtool.plan("heun", steps=3).rows
        # bare and dtool.sample in three micro-batches, one batch at once; each once to warm up and once timed; and the
        # bare one twice before, to see how long it takes
        bare = 3 * own * [rows]
        assert sorted(calls) == sorted(2 * (2 * bare + own * [5 * rows // 2]) + 2 * bare)


def test_short_runs_are_repeated(stub, monkeypatch):
    runs = Counter()
    monkeypatch.setattr("dtool.bench.run.TURN", 1e9)
    monkeypatch.setattr("dtool.bench.run.MAX_REPEATS", 3)
    monkeypatch.setattr("dtool.bench.entrants.is_installed", lambda: False)
    found = [Runner(name, partial(runs.update, [name]), partial(runs.update, [name + "!"])) for name in "ab"]
    monkeypatch.setattr("dtool.bench.run.list_runners", lambda *_: found)
    monkeypatch.setattr("dtool.bench.run._measure_differences", lambda *_: dict.fromkeys("ab"))
    times = bench(stub, "ddim", steps=2, batches=[4], rounds=5).timings
    assert (runs["a"], runs["b"]) == (2 + 3 * 5, 3 * 5), "two more of the reference, to see how long it takes"
    assert runs["a!"] == runs["b!"] == 3 * 5, "prepared before every run"
    assert [len(t.seconds) for t in times] == [5, 5]


def test_images_that_are_others_are_noted(monkeypatch, stub):
    far = type(stub)(lambda x, t, label: stub.fn(x, t, label) + 0.3, stub.spec)
    monkeypatch.setattr("dtool.bench.entrants._export_network", lambda *_, **__: far)
    found = bench(stub, "ddim", steps=5, batches=[2], rounds=1)
    assert group_timings(found)[FUSED, 2].difference > 0.01
    assert any(note.startswith("fused file: its images are up to") for note in found.notes)


@pytest.mark.parametrize("arguments", [{"batches": []}, {"batches": [0]}, {"rounds": 0}, {"batch_size": 0}])
def test_nothing_to_time(arguments):
    with pytest.raises(UsageError, match="nothing to time"):
        bench(network(), "ddim", **arguments)
