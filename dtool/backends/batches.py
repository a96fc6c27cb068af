"""Micro-batches: images are run a fixed number at a time, so that each comes out the same in any company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress
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

AT_ONCE = 2  # blocks of noise


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
        noise = chain.from_iterable(_noise(job, seed, names))
        yield _run(job, next(noise), noise, None if labels is None else labels[index], np.float32)


def _noise(job: Job, seed: int, ids: NDArray[np.uint64]) -> Iterator[list[Any]]:
    """The start of one micro-batch, init·z, then what each row with noise adds, c·z, `(B, *shape)`, of generated z.

    Some at a time: the generator wants some 2¹⁵ numbers at once, and what a network call leaves in the caches is not
    what it needs.
    """
    network, plan = job.network, job.plan
    draws = plan.rows + 1 if plan.stochastic else 1
    most = rows_for((len(ids), *network.shape), 1 << (15 if network.device == "cpu" else 22))  # a GPU: few launches
    blocks = -(-draws // most)
    count = -(-draws // blocks)
    made = network.noise(seed, ids, count)
    scales = np.zeros(blocks * count)
    scales[0], scales[1:draws] = plan.init, plan.c[: draws - 1]
    wanted = (scales != 0).tolist()
    scale = network.array(scales.astype(np.float32).reshape(blocks, count, 1, *[1] * len(network.shape)))

    def block(k: int) -> Iterator[Any]:
        z = made(k * count)
        z *= scale[k]
        return compress(z, wanted[k * count :])

    for first in range(0, blocks, AT_ONCE):
        yield [each for k in range(first, min(blocks, first + AT_ONCE)) for each in block(k)]


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
        rows = np.flatnonzero(plan.c).tolist()
        order = rows if len(noise) == plan.rows else range(len(rows))
        scales = plan.c[rows].tolist()
    dtype = network.numpy(x[:1]).dtype
    for first in range(0, len(x), chunk):
        part = slice(first, first + chunk)
        own = (c * noise[k][part] for c, k in zip(scales, order, strict=True)) if plan.stochastic else iter(())
        yield _run(job, x[part], own, None if labels is None else labels[part], dtype)


def _run(
    job: Job, start: Any, noise: Iterator[Any], labels: NDArray[np.int64] | None, dtype: Any
) -> tuple[Any, Steps | None]:
    times = job.network.array(network_times(job.plan, len(start), dtype))
    predict = guided(job.network, labels, job.guidance, start)
    if job.network.spec.learned_variance:
        learned = LearnedVariance(job.plan, predict, noise, job.network.shape[0])
        predict, noise = learned.predict, learned
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
