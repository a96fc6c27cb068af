"""A function of every block, as tasks of a Ray cluster that runs: each is tried again where its worker is lost."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from dtool.errors import DtoolError, UsageError
from dtool.parts.block import Block
from dtool.parts.filling import Filling, Outcome, State, Tally, draw_images, look_at, save_block
from dtool.parts.worker import Answer, AnswerReader, answer_for, set_threads
from dtool.parts.workers import pack
from dtool.util.text import get_first_line

J = TypeVar("J")
B = TypeVar("B")
R = TypeVar("R")

MAX_RETRIES = 10  # of a task whose worker or node is lost
CONNECT_SECONDS = 10.0  # in which a cluster answers that is there
AHEAD = 2  # tasks for each core of the cluster that are waited for at a time


def fill_by_ray(
    filling: Filling, blocks: Sequence[Block], address: str = "auto", on_done: Callable[[int], None] | None = None
) -> Tally:
    """Fill a folder with these blocks, drawn by the cluster and written by this process; what became of them.

    The nodes need dtool and the network's files, and no folder in common. on_done(images): after each block.
    """
    tally = Tally()
    missing: list[Block] = []

    def count(outcome: Outcome) -> None:
        tally.add(filling, outcome)
        if on_done is not None:
            on_done(len(outcome.block))

    for block in blocks:
        outcome = look_at(filling.folder, filling.manifest, block)
        if outcome is None or (filling.redraw and outcome.state is State.DAMAGED):
            missing.append(block)
        else:
            count(outcome)
    on_gpu = "cuda" in filling.job.settings["device"]
    if not missing:
        return tally
    with _open_tasks(filling.job, draw_images, missing, address, int(on_gpu)) as tasks:
        for _, images in tasks.iterate_ready():
            save_block(filling, images.block, images)
            count(Outcome(images.block, State.DRAWN))
    return tally


def for_each_block_on_ray(
    job: J,
    function: Callable[[J, B], R],
    blocks: Sequence[B],
    *,
    address: str = "auto",
    gpus: float = 0,
    on_done: Callable[[B], None] | None = None,
) -> Iterator[R]:
    """`function(job, block)` of each block, in their order, as `dtool.parts.for_each_block`, by a cluster's workers.

    address: of the cluster, as Ray has it: auto, HOST:PORT, ray://HOST:PORT, or local for one of its own that ends
    here; where Ray is initialized already, that one is used. gpus: of each task. on_done(block): when a result is
    there, in any order. A task whose worker or node is lost is tried again, some at a time are waited for, and leaving
    the iterator cancels them.
    Raises DtoolError where Ray or the cluster is not there, or a block is lost again and again.
    """
    if not blocks:
        return
    with _open_tasks(job, function, blocks, address, gpus) as tasks:
        yield from tasks.iterate_in_order(on_done)


class _Tasks:
    """The tasks of some blocks: some of them are begun ahead of what is told."""

    def __init__(self, ray: Any, task: Any, payload: Any, blocks: Sequence[Any]) -> None:
        self._ray, self._task, self._payload, self._blocks = ray, task, payload, blocks
        self._most = max(4, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        self._begun = 0
        self._pending: dict[Any, int] = {}
        self._reader = AnswerReader()

    def iterate_ready(self) -> Iterator[tuple[int, Any]]:
        """The place and the result of each block, whichever is ready first."""
        for told in range(len(self._blocks)):
            self._begin(told + self._most)
            yield self._receive()

    def iterate_in_order(self, on_done: Callable[[Any], None] | None) -> Iterator[Any]:
        """The results in the order of the blocks."""
        results: dict[int, Any] = {}
        for told in range(len(self._blocks)):
            self._begin(told + self._most)
            while told not in results:
                place, result = self._receive()
                results[place] = result
                if on_done is not None:
                    on_done(self._blocks[place])
            yield results.pop(told)

    def cancel(self) -> None:
        """End what has not ended, at its next line of Python: by force, Ray 2.60 now and then aborts this process."""
        for reference in self._pending:
            with contextlib.suppress(Exception):  # it has ended by itself, or the cluster is gone
                self._ray.cancel(reference, force=False)

    def _begin(self, end: int) -> None:
        """Begin the tasks of the blocks before the `end`-th."""
        while self._begun < min(end, len(self._blocks)):
            reference = self._task.remote(self._payload, self._blocks[self._begun])
            self._pending[reference] = self._begun
            self._begun += 1

    def _receive(self) -> tuple[int, Any]:
        """Wait for one task; its warnings are given again, each once, and its error is raised."""
        [reference], _ = self._ray.wait(list(self._pending), num_returns=1)
        place = self._pending.pop(reference)
        try:
            answer: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise DtoolError(
                f"{self._blocks[place]}: the cluster could not do them "
                f"({type(error).__name__}: {get_first_line(error)})",
                "look at it with: ray status; what is drawn stays, so run the command again",
            ) from error
        return place, self._reader.read(answer)


@contextlib.contextmanager
def _open_tasks(job: Any, function: Any, blocks: Sequence[Any], address: str, gpus: float) -> Iterator[_Tasks]:
    """Tasks on a cluster; those that are outstanding when the context is left are cancelled."""
    ray = _import_ray()
    payload = pack(job, function)
    with _connect(ray, address) as is_lent:
        task = ray.remote(max_retries=MAX_RETRIES, num_cpus=1, num_gpus=gpus)(run_task)
        tasks = _Tasks(ray, task, ray.put(payload), blocks)
        try:
            yield tasks
        finally:
            if is_lent:  # else they end with the connection
                tasks.cancel()


def run_task(payload: bytes, block: Any) -> Answer:
    """What a worker of the cluster does for a block, on its one core; the network stays open for its next one."""
    with set_threads(1):
        job, function = _unpack(payload)
        return answer_for(job, function, block)


@lru_cache(maxsize=1)
def _unpack(payload: bytes) -> Any:
    return pickle.loads(payload)


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError("--ray needs Ray, which is not installed", "pip install 'dtool-diffusion[ray]'") from error
    return ray


def _resolve_auto(ray: Any) -> str:
    """The address of the cluster that `auto` means, where Ray tells it: it keeps that of one that has crashed, too."""
    address = os.environ.get("RAY_ADDRESS", "auto")
    with contextlib.suppress(Exception):  # no public function tells it: it may be gone, or find no cluster
        address = ray._private.services.canonicalize_bootstrap_address("auto") or address
    return address


def _require_listener(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray itself tries for minutes. Other addresses are left to it."""
    match = re.fullmatch(r"(?:ray://)?\[?([\w.\-]+|[0-9a-fA-F:]+)\]?:(\d{1,5})", address)
    if match is not None:
        socket.create_connection((match[1], int(match[2])), CONNECT_SECONDS).close()


@contextlib.contextmanager
def _connect(ray: Any, address: str) -> Iterator[bool]:
    """Be connected to the cluster for as long as the context lasts; yields whether the connection was there before.

    Such a connection stays. One that is made here ends, and with it, on the cluster, all tasks that it began.
    """
    if ray.is_initialized():
        yield True
        return
    try:
        _require_listener(_resolve_auto(ray) if address == "auto" else address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray has a kind of its own for each way in which a cluster is not there
        raise DtoolError(
            f"there is no Ray cluster at {address} ({get_first_line(error)})",
            "start one, ray start --head, or name one: --ray HOST:PORT",
        ) from error
    try:
        yield False
    finally:
        ray.shutdown()
