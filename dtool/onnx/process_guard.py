"""Calls into C++ that can be stopped: by Ctrl-C, which Python does not see in them, or by limits of time and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from queue import SimpleQueue
from typing import Generic, TypeVar

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
    deadline = time.monotonic() + limit
    most = None
    task = _Task(work)
    try:
        task.start()
        while not task.done.wait(max(0.0, min(LOOK, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise TimeoutError
            most = memory.get_limit() if most is None else most
            memory.require_below(most)
    except BaseException:
        stop()
        _wait(task.done, inf if most is None else memory.get_usage() + MORE * most)
        raise
    return task.take()


def run_together(works: Sequence[Callable[[], T]]) -> list[T]:
    """All of these at the same time, the first in this thread; what one of them raises is raised when all are over."""
    others = [_Task(work) for work in works[1:]]
    for task in others:
        task.start()
    try:
        first = works[0]()
    finally:
        for task in others:
            task.done.wait()
    return [first, *(task.take() for task in others)]


class _Task(Generic[T]):
    """Work for another thread, and what became of it once it is `done`."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work, self.done = work, threading.Event()
        self._answer: list[T] = []
        self._failure: list[BaseException] = []

    def start(self) -> None:
        """Have a thread do it: one that is idle, or a new one."""
        try:
            tasks = _idle.pop()
        except IndexError:
            tasks = _start_thread()

        def run() -> None:
            try:
                self._answer.append(self._work())
            except BaseException as error:
                self._failure.append(error)
            finally:
                _idle.append(tasks)
                self.done.set()

        tasks.put(run)

    def take(self) -> T:
        """Its answer; raises what it raised."""
        if self._failure:
            try:
                raise self._failure[0]
            finally:
                self._failure.clear()  # the error holds this frame, and this frame shall not hold the error
        return self._answer[0]


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
