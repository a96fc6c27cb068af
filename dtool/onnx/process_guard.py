"""Calls into C++ that can be stopped: by Ctrl-C, which Python does not see in them, or by limits of time and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from math import inf
from queue import SimpleQueue
from typing import TypeVar

from dtool.util import memory

T = TypeVar("T")
LOOK, GRACE = 0.1, 2.0  # seconds between looks at the clock, and for a call that was told to stop
MORE = 0.05  # of what it may take: so much more, and a call that was told to stop is given up


_idle: list[SimpleQueue[Callable[[], None]]] = []  # what threads that have nothing to do wait at
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a fork has none of them


def run_interruptible(work: Callable[[], T], stop: Callable[[], None], limit: float) -> T:
    """`work()`, in a thread of its own, which the next one may use again; what it raises is raised here.

    After `limit` seconds TimeoutError is raised, DtoolError when the process takes more than `memory.most()`, which is
    looked at ten times a second, and KeyboardInterrupt when the user presses Ctrl-C; `stop()` is called first, which
    tells the work to end. Work that does not end within 2 seconds, or goes on taking memory, is left behind: it goes
    on until its current operation ends, or the process does.
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
            _idle.append(tasks)
            done.set()

    deadline = time.monotonic() + limit
    most = None
    try:
        tasks = _idle.pop()
    except IndexError:
        tasks = _start_thread()
    try:
        tasks.put(run)
        while not done.wait(max(0.0, min(LOOK, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise TimeoutError
            most = memory.get_limit() if most is None else most
            memory.require_below(most)
    except BaseException:
        stop()
        _wait(done, inf if most is None else memory.get_usage() + MORE * most)
        raise
    if failure:
        try:
            raise failure[0]
        finally:
            failure.clear()  # the error holds this frame, and this frame shall not hold the error
    return answer[0]


def _start_thread() -> SimpleQueue[Callable[[], None]]:
    """Start a thread, which does what is put into its queue: one for every run would find its core's caches cold."""
    tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            tasks.get()()

    threading.Thread(target=serve, name="dtool", daemon=True).start()
    return tasks


def _wait(done: threading.Event, most: float) -> None:
    """Wait a little for work that was told to stop, unless it takes more than `most` bytes."""
    deadline = time.monotonic() + GRACE
    while not done.wait(min(LOOK, GRACE)) and time.monotonic() < deadline:
        if most < inf and memory.get_usage() > most:
            return
