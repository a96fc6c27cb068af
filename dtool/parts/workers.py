"""A function of every block, in this process or in several, with the results in the order of the ids."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from dtool.errors import DtoolError, UsageError
from dtool.parts.worker import Answer, AnswerReader, serve, set_threads
from dtool.util.cores import count_cores
from dtool.util.text import format_exception

J = TypeVar("J")
B = TypeVar("B")
R = TypeVar("R")

MAX_DEATHS = 3  # workers that a block may cost
AHEAD = 4  # results for each worker that are kept while an earlier one is waited for
PATIENCE = 5.0  # seconds until a worker that does not stop is killed
MAX_WORKERS = 1024


def for_each_block(
    job: J,
    function: Callable[[J, B], R],
    blocks: Iterable[B],
    *,
    workers: int = 1,
    threads: int | None = None,
    on_done: Callable[[B], None] | None = None,
) -> Iterator[R]:
    """`function(job, block)` of each block, in their order, whatever process was ready first.

    workers: processes; 1: this one. Of several, job, function, blocks and results are pickled, the job once for each
    process; a worker that is killed is replaced, and its block done again. threads: of each worker at most [default:
    the cores divided among them]. on_done(block): when a result is there, in any order.
    No more than a few blocks and results are held at a time. What the function raises ends all; so does leaving the
    iterator.
    Raises UsageError for a number of workers that there is not, DtoolError for a block that no worker survives.

    >>> from dtool.parts import divide, for_each_block
    >>> list(for_each_block(10, lambda job, block: job * len(block), divide(5, 2)))
    [20, 20, 10]
    """
    _require_workers(workers)
    if workers > 1:
        return _Pool(job, function, workers, threads).run(blocks, on_done)
    return _run_here(job, function, blocks, on_done)


@contextlib.contextmanager
def keep_workers(
    job: J, function: Callable[[J, B], R], *, workers: int = 1, threads: int | None = None
) -> Iterator[Callable[[Iterable[B]], Iterator[R]]]:
    """`for_each_block` for blocks that come in several goes: the workers, and what they have opened, stay between them.

    Yields blocks ↦ results in their order, one go at a time. Errors as there.

    >>> from dtool.parts import divide, keep_workers
    >>> with keep_workers(10, lambda job, block: job * len(block)) as each:
    ...     list(each(divide(5, 2))), list(each(divide(2, 1)))
    ([20, 20, 10], [10, 10])
    """
    _require_workers(workers)
    if workers == 1:
        yield lambda blocks: _run_here(job, function, blocks, None)
        return
    pool = _Pool(job, function, workers, threads)
    try:
        yield lambda blocks: pool.run(blocks, None, keep=True)
    finally:
        pool.stop()


def _require_workers(workers: int) -> None:
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"{workers} workers", f"use 1 to {MAX_WORKERS}")


def _run_here(job: Any, function: Any, blocks: Iterable[Any], on_done: Callable[[Any], None] | None) -> Iterator[Any]:
    for block in blocks:
        result = function(job, block)
        if on_done is not None:
            on_done(block)
        yield result


class _Pool:
    """Worker processes, each with one block at a time; none of them knows of another."""

    def __init__(self, job: Any, function: Any, workers: int, threads: int | None) -> None:
        self._payload = pack(job, function)
        self._count = workers
        self._threads = threads or max(1, (count_cores() or os.cpu_count() or 1) // max(1, workers))
        self._workers: dict[Connection, BaseProcess] = {}
        self._tasks: dict[Connection, int] = {}
        self._deaths: Counter[int] = Counter()
        self._reader = AnswerReader()
        self._last_code: int | None = None

    def run(self, blocks: Iterable[Any], on_done: Callable[[Any], None] | None, *, keep: bool = False) -> Iterator[Any]:
        """The results in order; ends all workers, however it is left, but for keep, if all was done."""
        is_done = False
        try:
            yield from self._run(iter(blocks), on_done)
            is_done = True
        finally:
            if not (keep and is_done):
                self.stop()

    def _run(self, source: Iterator[Any], on_done: Callable[[Any], None] | None) -> Iterator[Any]:
        self._deaths.clear()
        waiting: deque[int] = deque()
        blocks: dict[int, Any] = {}  # those that are begun and not ended
        results: dict[int, Any] = {}
        begun = told = 0
        is_last = False
        while True:
            while not is_last and begun < told + AHEAD * self._count and len(waiting) < self._count:
                try:
                    blocks[begun] = next(source)
                except StopIteration:
                    is_last = True
                    break
                waiting.append(begun)
                begun += 1
            if told == begun:
                return
            self._hand_out(blocks, waiting)
            for place, answer in self._receive(blocks, waiting):
                results[place] = self._reader.read(answer)
                block = blocks.pop(place)
                if on_done is not None:
                    on_done(block)
            while told in results:
                yield results.pop(told)
                told += 1

    def _hand_out(self, blocks: Mapping[int, Any], waiting: deque[int]) -> None:
        """Give each free worker a block, and start workers while there are more blocks than those."""
        idle = deque(connection for connection in self._workers if connection not in self._tasks)
        while waiting and (idle or len(self._workers) < self._count):
            connection = idle.popleft() if idle else self._start()
            place = waiting.popleft()
            self._tasks[connection] = place
            with contextlib.suppress(OSError):  # it has been killed: seen when its answer is waited for
                connection.send(blocks[place])

    def _receive(self, blocks: Mapping[int, Any], waiting: deque[int]) -> Iterator[tuple[int, Answer]]:
        """Wait for answers; the block of a worker that has died waits again, before all others."""
        for connection in wait(list(self._tasks)):
            assert isinstance(connection, Connection)
            try:
                answer = connection.recv()
            except (EOFError, OSError):
                place = self._bury(connection)
                self._deaths[place] += 1
                if self._deaths[place] >= MAX_DEATHS:
                    raise _make_death_error(blocks[place], self._last_code) from None
                waiting.appendleft(place)
            else:
                yield self._tasks.pop(connection), answer

    def _start(self) -> Connection:
        """Start a worker that has its own threads and does not hear Ctrl-C; returns the connection to it."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._payload), daemon=True)
        with set_threads(self._threads), _hold_interrupts():
            process.start()
            theirs.close()
            self._workers[ours] = process
        return ours

    def _bury(self, connection: Connection) -> int:
        """Forget a worker that has died; returns the place of its block."""
        process = self._workers.pop(connection)
        connection.close()
        process.join(PATIENCE)
        self._last_code = process.exitcode
        return self._tasks.pop(connection)

    def stop(self) -> None:
        """End all workers: those that are idle leave, others are stopped."""
        for connection, process in self._workers.items():
            if connection in self._tasks:
                process.terminate()
            connection.close()
        for process in self._workers.values():
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers.clear()
        self._tasks.clear()


def pack(job: Any, function: Any) -> bytes:
    """A job and a function as other processes read them; raises UsageError for what they could not."""
    try:
        return pickle.dumps((job, function))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"this cannot be given to other processes ({format_exception(error)})",
            "use functions and classes of a module, no lambda and nothing of __main__'s functions; or workers=1",
        ) from error


def _make_death_error(block: Any, code: int | None) -> DtoolError:
    name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return DtoolError(
        f"{block}: {MAX_DEATHS} workers in turn have died of them ({name})",
        "if memory is short, use fewer --workers or a smaller --batch-size",
    )


@contextlib.contextmanager
def _hold_interrupts() -> Iterator[None]:
    """Ctrl-C waits until this is over: a process that is started now does not hear it, and this one still does."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
