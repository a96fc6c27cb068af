"""Calls into C++ that can be stopped: by Ctrl-C, which Python does not see during such a call, or by a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK, GRACE = 0.1, 2.0  # seconds between looks at the clock, and for a call that was told to stop


def guarded(work: Callable[[], T], stop: Callable[[], None], limit: float) -> T:
    """`work()`, in a thread of its own; what it raises is raised here.

    After `limit` seconds TimeoutError is raised, and KeyboardInterrupt when the user presses Ctrl-C;
    `stop()` is called first, which tells the work to end. Work that does not end within 2 seconds is left behind: it
    goes on until its current operation ends, or the process does.
    """
    answer: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            done.set()

    deadline = time.monotonic() + limit
    try:
        threading.Thread(target=run, name="dtool", daemon=True).start()
        while not done.wait(max(0.0, min(LOOK, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise TimeoutError
    except BaseException:
        stop()
        done.wait(GRACE)
        raise
    if failure:
        try:
            raise failure[0]
        finally:
            failure.clear()  # the error holds this frame, and this frame shall not hold the error
    return answer[0]
