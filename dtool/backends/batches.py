"""Micro-batches: images are run a fixed number at a time, so that each comes out the same in any company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends import host_loop
from dtool.backends.limit import Limit
from dtool.backends.loop import Steps, network_times, run
from dtool.errors import UsageError
from dtool.networks.guidance import guided
from dtool.networks.network import Network, rows_for
from dtool.networks.variance import LearnedVariance
from dtool.plan.plan import Plan


@dataclass(frozen=True)
class Trace:
    """The steps of a run: `x` `(steps + 1, n, *shape)`, `x0` `(steps, n, *shape)`, the image predicted at each step."""

    x: Any
    x0: Any


@dataclass(frozen=True)
class Job:
    """Everything that all micro-batches of a run have in common."""

    network: Network
    plan: Plan
    guidance: float
    limit: Limit | None
    want_trace: bool
    called: Callable[[], None] | None


def generated(
    job: Job, seed: int, ids: NDArray[np.uint64], labels: NDArray[np.int64] | None, sizes: Sequence[int]
) -> Iterator[tuple[Any, Steps | None]]:
    """The micro-batches of generated starts, each of exactly so many images; the last one padded with its last."""
    ends = np.cumsum(sizes)
    for first, end in zip(ends - sizes, ends, strict=True):
        index = np.minimum(np.arange(first, end), len(ids) - 1)
        names = ids[index]
        noise = _Noise(job, seed, names)
        start = job.plan.init * noise(-1)
        yield _run(job, start, noise, None if labels is None else labels[index], np.float32)


class _Noise:
    """The generated noise of one micro-batch, row by row.

    It is made some 2¹³ numbers at a time, which the caches hold, and up to eight times at once: what a network call
    leaves in the caches is not what this needs.
    """

    def __init__(self, job: Job, seed: int, ids: NDArray[np.uint64]) -> None:
        draws = job.plan.rows + 1 if job.plan.stochastic else 1
        block = 1 << (13 if job.network.device == "cpu" else 22)  # on a GPU, few launches count
        self._count = min(draws, rows_for((len(ids), *job.network.shape), block))
        self._made = job.network.noise(seed, ids, self._count)
        self._draws = draws
        self._first = 0
        self._blocks: list[Any] = []

    def __call__(self, row: int) -> Any:
        """The noise of a plan's row, `(B, *shape)`; row -1 is the start."""
        block, place = divmod(row + 1 - self._first, self._count)
        if not 0 <= block < len(self._blocks):
            self._first, block, place = row + 1, 0, 0
            last = min(self._draws, self._first + 8 * self._count)
            self._blocks = [self._made(draw) for draw in range(self._first, last, self._count)]
        return self._blocks[block][place]


def given(
    job: Job, x: Any, noise: Any, labels: NDArray[np.int64] | None, chunk: int
) -> Iterator[tuple[Any, Steps | None]]:
    """The batches of the user's own starts, with the user's own noise."""
    network, plan = job.network, job.plan
    if tuple(x.shape[1:]) != network.shape:
        raise UsageError(f"x has shape {tuple(x.shape)}; the network's samples are {network.shape}", "give (B, *shape)")
    if plan.stochastic:
        if noise is None or len(noise) not in (plan.draws, plan.rows) or tuple(noise.shape[1:]) != tuple(x.shape):
            got = "none" if noise is None else str(tuple(noise.shape))
            raise UsageError(
                f"noise for {plan.draws} draws of {tuple(x.shape)} is needed; got {got}",
                f"give noise of shape {(plan.draws, *tuple(x.shape))}",
            )
        order = np.arange(plan.rows) if len(noise) == plan.rows else np.cumsum(plan.c != 0) - 1
    dtype = network.numpy(x[:1]).dtype
    for first in range(0, len(x), chunk):
        part = slice(first, first + chunk)

        def own(i: int, part: slice = part) -> Any:
            return noise[order[i]][part]

        yield _run(job, x[part], own, None if labels is None else labels[part], dtype)


def _run(
    job: Job, start: Any, noise: Callable[[int], Any], labels: NDArray[np.int64] | None, dtype: Any
) -> tuple[Any, Steps | None]:
    times = job.network.array(network_times(job.plan, len(start), dtype))
    predict = guided(job.network, labels, job.guidance, start)
    if job.network.spec.learned_variance:
        learned = LearnedVariance(job.plan, predict, noise, job.network.shape[0])
        predict, noise = learned.predict, learned.noise
    steps = Steps() if job.want_trace else None
    if isinstance(start, np.ndarray) and steps is None:
        return host_loop.run(job.plan, predict, start, times, noise, limit=job.limit, called=job.called), None
    return run(job.plan, predict, start, times, noise, limit=job.limit, steps=steps, called=job.called), steps


def joined(
    network: Network, parts: Iterator[tuple[Any, Steps | None]], count: int, as_numpy: bool
) -> tuple[Any, Trace | None]:
    """The micro-batches one after another, without the padding."""

    def one(arrays: Sequence[Any]) -> Any:
        if as_numpy or network.backend != "torch":
            return np.concatenate([network.numpy(a) for a in arrays])[:count]
        return network.concatenate(arrays)[:count]

    done = list(parts)
    images = one([x0 for x0, _ in done])
    traces = [steps for _, steps in done if steps is not None]
    if not traces:
        return images, None
    xs = [one(arrays) for arrays in zip(*(s.x for s in traces), strict=True)]
    x0s = [one(arrays) for arrays in zip(*(s.x0 for s in traces), strict=True)]
    stack: Callable[[list[Any]], Any] = (
        np.stack if isinstance(images, np.ndarray) else lambda a: network.concatenate([v[None] for v in a])
    )
    return images, Trace(stack(xs), stack(x0s))
