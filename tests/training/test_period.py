"""What is done now and then: how it is written, and when it is due."""

import pytest

from dtool.errors import UsageError
from dtool.training.period import Period, Repeated


def test_intervals() -> None:
    assert (Period.parse("500"), Period.parse("90s"), Period.parse("5m")) == (
        Period(500),
        Period(0, 90),
        Period(0, 300),
    )
    assert [Period(3).due(step, 1e9) for step in (2, 3, 4)] == [False, True, False]
    assert [Period(seconds=60).due(3, seconds) for seconds in (59, 60)] == [False, True]
    for text in ("0", "-1", "5x", "", "m"):
        with pytest.raises(UsageError, match="interval"):
            Period.parse(text)


def test_what_is_repeated_is_done_when_it_is_due_and_not_again_at_once() -> None:
    done: list[int] = []
    by_steps = Repeated(Period(steps=3), lambda: done.append(0))
    for step in range(1, 8):
        by_steps.run_if_due(step)
    assert len(done) == 2
    by_time = Repeated(Period(seconds=60), lambda: done.append(1))
    by_time.run_if_due(1)
    assert len(done) == 2
    by_time.last -= 61
    by_time.run_if_due(2)
    by_time.run_if_due(3)
    assert done == [0, 0, 1]
