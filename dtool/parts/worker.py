"""What a worker process does: it takes one block after another from the process that started it, until that ends."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from dtool.errors import DtoolError
from dtool.util.text import format_exception

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DTOOL_THREADS")


@dataclass(frozen=True)
class Answer:
    """What became of a block: the function's result, or the error that it raised, and what it warned of."""

    result: Any = None
    error: BaseException | None = None
    warnings: tuple[str, ...] = ()


class AnswerReader:
    """Takes answers apart: what several of them warn of is given again once."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def read(self, answer: Answer) -> Any:
        """The result; its warnings are given again, and its error is raised."""
        for text in answer.warnings:
            if text not in self._warned:
                self._warned.add(text)
                warnings.warn(text, stacklevel=5)
        if answer.error is not None:
            raise answer.error
        return answer.result


def serve(connection: Connection, payload: bytes) -> None:
    """Answer for each block that comes over the connection, until None or its end; the process's whole life.

    payload: the pickled job and function. Ctrl-C is for the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # it was held back until here: what this process starts may hear it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _stop)
    job = function = failure = None
    with collect_warnings() as texts:
        try:
            job, function = pickle.loads(payload)
        except Exception as error:  # a module that is not there, say: told instead of the first block
            failure = as_portable(error)
    with contextlib.suppress(EOFError, OSError):  # the other process has ended
        while (block := connection.recv()) is not None:
            answer = Answer(error=failure) if function is None else answer_for(job, function, block)
            connection.send(Answer(answer.result, answer.error, (*texts, *answer.warnings)))
            texts.clear()


def answer_for(job: Any, function: Any, block: Any) -> Answer:
    """What `function(job, block)` gives, or raises, with its warnings."""
    with collect_warnings() as texts:
        try:
            result, failure = function(job, block), None
        except Exception as error:  # whatever it is, the process that asked shall know it
            result, failure = None, as_portable(error)
    return Answer(result, failure, tuple(texts))


@contextlib.contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """The texts of the warnings that are raised in the context, each once."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield texts
    ours = (each for each in caught if not issubclass(each.category, DeprecationWarning | ResourceWarning))
    texts.extend(dict.fromkeys(str(each.message) for each in ours))


@contextlib.contextmanager
def set_threads(count: int) -> Iterator[None]:
    """The environment in which libraries start so many threads, and no more than it says: read when they are loaded."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    for name, value in before.items():
        allowed = int(value) if value is not None and value.isdecimal() and int(value) > 0 else count
        os.environ[name] = str(min(count, allowed))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def as_portable(error: Exception) -> BaseException:
    """An error that any process can read: itself if it is dtool's, else its words."""
    if isinstance(error, DtoolError | OSError | MemoryError):
        try:
            return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
        except Exception:  # it needs arguments that are not kept
            return DtoolError(str(error), getattr(error, "hint", ""))
    return DtoolError(f"a worker failed ({format_exception(error)})", "run it with --workers 1 to see where")


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End the process as an error would, so that nothing half-written stays behind."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(128 + signal.SIGTERM)
