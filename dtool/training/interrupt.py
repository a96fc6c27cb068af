"""Ctrl-C between steps, never within one, so that the state which is saved is the state after a whole step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether someone has asked to stop."""

    requested = False


@contextmanager
def defer_signals() -> Iterator[Interrupt]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a flag; the second Ctrl-C interrupts at once.

    SIGHUP is that of a terminal that is closed; one that is ignored, as under nohup, stays so.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
