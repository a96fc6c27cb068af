"""A signal stops a training after its step."""

from __future__ import annotations

import os
import signal
import threading

import pytest

pytest.importorskip("accelerate")
from dtool.training.interrupt import defer_signals


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal")
def test_a_terminal_that_is_closed_stops_a_training_after_its_step():
    from dtool.training.interrupt import defer_signals

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        with defer_signals() as interrupt:
            assert not interrupt.requested
            signal.raise_signal(signal.SIGHUP)
            assert interrupt.requested
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with defer_signals() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.requested, "as under nohup"
    finally:
        signal.signal(signal.SIGHUP, before)


NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.fixture
def handled():
    """No signal is ignored, as whoever runs the tests in the background may have it."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_a_flag_and_the_second_interrupts(number, handled):
    before = [signal.getsignal(each) for each in NUMBERS]
    with pytest.raises(KeyboardInterrupt), defer_signals() as interrupt:  # noqa: PT012 - the second signal
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(each) for each in NUMBERS] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")
def test_a_hang_up_that_is_ignored_stays_so(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with defer_signals() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_handler():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with defer_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_that_is_passed_on_is_the_same_one(handled):
    with defer_signals(grace=60) as interrupt:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
