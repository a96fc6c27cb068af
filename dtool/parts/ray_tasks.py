"""A function of every block, as tasks of a Ray cluster that runs: each is tried again where its worker is lost."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from dtool.errors import DtoolError, UsageError
from dtool.parts.block import Block
from dtool.parts.filling import Filling, Outcome, State, Tally, draw_images, look_at, save_block
from dtool.parts.worker import Answer, answer_for
from dtool.parts.workers import pack
from dtool.util.cores import THREADS_VARIABLE
from dtool.util.text import get_first_line

J = TypeVar("J")
B = TypeVar("B")
R = TypeVar("R")

MAX_RETRIES = 10  # of a task whose worker or node is lost
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
    for images in for_each_block_on_ray(filling.job, draw_images, missing, address=address, gpus=int(on_gpu)):
        save_block(filling, images.block, images)
        count(Outcome(images.block, State.DRAWN))
    return tally


def for_each_block_on_ray(
    job: J, function: Callable[[J, B], R], blocks: Sequence[B], *, address: str = "auto", gpus: float = 0
) -> Iterator[R]:
    """`function(job, block)` of each block, in their order, as `dtool.parts.for_each_block`, by a cluster's workers.

    address: of the cluster, as Ray has it: auto, HOST:PORT, ray://HOST:PORT, or local for one of its own that ends
    here; where Ray is initialized already, that one is used. gpus: of each task. A task whose worker or node is lost is
    tried again, some at a time are waited for, and leaving the iterator cancels them.
    Raises DtoolError where Ray or the cluster is not there, or a block is lost again and again.
    """
    if not blocks:
        return
    ray = _import_ray()
    payload = pack(job, function)
    with _connect(ray, address):
        shared = ray.put(payload)
        task = ray.remote(max_retries=MAX_RETRIES, num_cpus=1, num_gpus=gpus)(run_task)
        waiting: deque[tuple[Any, B]] = deque()
        rest = iter(blocks)
        told: set[str] = set()
        most = max(4, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        try:
            for block in rest:
                waiting.append((task.remote(shared, block), block))
                if len(waiting) >= most:
                    yield _receive(ray, *waiting[0], told)
                    waiting.popleft()
            while waiting:
                yield _receive(ray, *waiting[0], told)
                waiting.popleft()
        finally:
            for reference, _ in waiting:
                with contextlib.suppress(Exception):  # it has ended by itself, or the cluster is gone
                    ray.cancel(reference, force=True)


def run_task(payload: bytes, block: Any) -> Answer:
    """What a worker of the cluster does for a block; the network stays open for its next one."""
    job, function = _unpack(payload)
    return answer_for(job, function, block)


@lru_cache(maxsize=1)
def _unpack(payload: bytes) -> Any:
    return pickle.loads(payload)


def _receive(ray: Any, reference: Any, block: Any, told: set[str]) -> Any:
    """The result of a task; its warnings are given again, each once, and its error is raised."""
    try:
        answer: Answer = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise DtoolError(
            f"{block}: the cluster could not do them ({type(error).__name__}: {get_first_line(error)})",
            "look at it with: ray status; what is drawn stays, so run the command again",
        ) from error
    for text in answer.warnings:
        if text not in told:
            told.add(text)
            warnings.warn(text, stacklevel=4)
    if answer.error is not None:
        raise answer.error
    return answer.result


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError("--ray needs Ray, which is not installed", "pip install 'dtool-diffusion[ray]'") from error
    return ray


@contextlib.contextmanager
def _connect(ray: Any, address: str) -> Iterator[None]:
    """Be connected to the cluster for as long as the context lasts; a connection that is there is used, and stays."""
    if ray.is_initialized():
        yield
        return
    variables = {"env_vars": {THREADS_VARIABLE: "1"}}
    try:
        ray.init(address=address, runtime_env=variables, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray has a kind of its own for each way in which a cluster is not there
        raise DtoolError(
            f"there is no Ray cluster at {address} ({get_first_line(error)})",
            "start one, ray start --head, or name one: --ray HOST:PORT",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
