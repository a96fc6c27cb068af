"""Timing in turns."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from dtool.measure.timing import format_spread, measure_medians, quartiles, ratios, time_in_turns


def test_the_contestants_take_turns_forwards_and_backwards():
    order = []
    runs = [lambda i=i: order.append(i) or float(len(order)) for i in range(3)]
    assert measure_medians(runs, 3) == [6.0, 5.0, 4.0]
    assert order == [0, 1, 2, 2, 1, 0, 0, 1, 2]


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_the_order_is_reversed_every_round_and_preparing_is_not_timed(rounds):
    seen = []
    functions = [lambda k=k: seen.append(k) for k in range(3)]
    times = time_in_turns(functions, rounds, before=lambda k: seen.append(-1 - k))
    turns = [[0, 1, 2] if i % 2 == 0 else [2, 1, 0] for i in range(rounds)]
    assert seen == [0, 1, 2, *(word for turn in turns for k in turn for word in (-1 - k, k))]
    assert [len(t) for t in times] == [rounds] * 3
    assert min(min(t) for t in times) >= 0


def test_a_turn_may_be_of_several_calls(monkeypatch):
    seen, now = [], [0.0]

    def take(word, seconds):
        seen.append(word)
        now[0] += seconds

    monkeypatch.setattr("dtool.measure.timing.time", SimpleNamespace(perf_counter=lambda: now[0], sleep=lambda _: None))
    functions = [partial(take, "a", 2), partial(take, "b", 3)]
    times = time_in_turns(functions, 2, warm=False, before=lambda k: take(k, 100), repeats=3)
    assert seen == [*[0, "a"] * 3, *[1, "b"] * 3, *[1, "b"] * 3, *[0, "a"] * 3]
    assert times == [[2, 2], [3, 3]]


def test_without_a_warm_up_every_call_is_timed():
    seen = []
    assert len(time_in_turns([lambda: seen.append(0)], 4, warm=False)[0]) == len(seen) == 4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quartiles_are_numpy_s(seed):
    values = np.random.default_rng(seed).uniform(1, 9, size=3 + 4 * seed).tolist()
    assert np.allclose(quartiles(values), np.percentile(values, [25, 50, 75]))
    assert quartiles(values[:1]) == (values[0],) * 3
    assert ratios([v * 3 for v in values], values) == pytest.approx([3] * len(values))
    assert format_spread([0.001, 0.002, 0.003]) == "2 ms (1.5 … 2.5)"
