"""Ctrl-C between steps, never within one, so that the state which is saved is the state after a whole step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether someone has asked to stop."""

    requested = False


@contextmanager
def defer_signals(grace: float = 0.0) -> Iterator[Interrupt]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a flag; the second Ctrl-C interrupts at once.

    grace: seconds after the first one in which another is the same one, passed on by a process that started this one.
    SIGHUP is that of a terminal that is closed; one that is ignored, as under nohup, stays so.
    """
    interrupt, first = Interrupt(), 0.0
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal first
        if interrupt.requested and time.monotonic() - first >= grace:
            raise KeyboardInterrupt
        if not interrupt.requested:
            interrupt.requested, first = True, time.monotonic()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
