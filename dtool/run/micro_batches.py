"""Micro-batches: images are run a fixed number at a time, so that each comes out the same in any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.conditions import ConditionPair
from dtool.models.guidance import make_guided_calls
from dtool.models.learned_variance import LearnedVariance
from dtool.models.micro_batch import choose_micro_batch, pad_calls
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run import numpy_loop
from dtool.run.clipping import Clipping
from dtool.run.editing import Edit, EditedRun
from dtool.run.interpolation import Interpolation
from dtool.run.loop import StepRecord, repeat_times, run
from dtool.run.path_noise import draw_path

BLOCKS_AT_ONCE = 2  # blocks of noise that are made before the steps that add them
CPU_BLOCK, GPU_BLOCK = 1 << 15, 1 << 22  # numbers of a block: what stays in a cache; a GPU wants few launches


@dataclass(frozen=True)
class Trace:
    """The steps of a run: `x` `(steps + 1, n, *shape)`, `x0` `(steps, n, *shape)`, the image predicted at each step."""

    x: Any
    x0: Any


@dataclass(frozen=True, kw_only=True)
class SamplingJob:
    """Everything that all micro-batches of a run have in common."""

    network: Network
    plan: Plan
    guidance: float
    limit: Clipping | None
    want_trace: bool
    on_call: Callable[[], None] | None
    weak: Network | None = None
    edit: Edit | None = None
    path: Interpolation | None = None
    path_noise: bool = False


def run_generated(
    job: SamplingJob, seed: int, ids: NDArray[np.uint64], conditions: ConditionPair | None, sizes: Sequence[int]
) -> Iterator[tuple[Any, StepRecord | None]]:
    """The micro-batches of generated starts, each of exactly so many images; the last one padded with its last."""
    for index, _ in pad_calls(len(ids), sizes):
        names = ids[index]
        noise: Iterator[Any] = chain.from_iterable(_draw_noise(job, seed, names))
        told = conditions and conditions.take(index)
        if job.edit is None:
            yield _run_batch(job, next(noise), noise, told, np.float32)
            continue
        edited = EditedRun(job.network, job.plan, job.edit.take(index), noise)
        yield _run_batch(job, edited.make_start(), edited, told, np.float32, keep=edited.keep)


def _draw_noise(job: SamplingJob, seed: int, ids: NDArray[np.uint64]) -> Iterator[list[Any]]:
    """The start of one micro-batch, init·z, then what each row with noise adds, c·z, `(B, *shape)`, of generated z.

    Of an edit, which scales them itself, z each time; on a path between two images, with `ids` the places on it.
    Some at a time: the generator wants a block of numbers at once, and what a network call leaves in the caches is not
    what it needs.
    """
    network, plan = job.network, job.plan
    if job.path_noise:
        yield from _draw_path_noise(job, seed, ids)
        return
    draws = plan.rows + 1 if plan.stochastic else 1
    most = choose_micro_batch((len(ids), *network.shape), CPU_BLOCK if network.device == "cpu" else GPU_BLOCK)
    blocks = -(-draws // most)
    count = -(-draws // blocks)
    draw = _make_draw(job, seed, ids, count)
    scales = np.zeros(blocks * count)
    scales[0], scales[1:draws] = plan.init, plan.c[: draws - 1]
    is_used = (scales != 0).tolist()
    if job.edit is not None:
        scales[:] = 1
    scale = network.array(scales.astype(np.float32).reshape(blocks, count, 1, *[1] * len(network.shape)))

    def block(k: int) -> Iterator[Any]:
        z = draw(k * count)
        z *= scale[k]
        return compress(z, is_used[k * count :])

    for first in range(0, blocks, BLOCKS_AT_ONCE):
        yield [each for k in range(first, min(blocks, first + BLOCKS_AT_ONCE)) for each in block(k)]


def _draw_path_noise(job: SamplingJob, seed: int, ids: NDArray[np.uint64]) -> Iterator[list[Any]]:
    """The same, of z that are increments of one Brownian path an image."""
    draw, plan = _make_draw(job, seed, ids, 1), job.plan
    scales = [plan.init, *plan.c[plan.c != 0].tolist()] if job.edit is None else repeat(1.0)
    for scale, z in zip(scales, chain([draw(0)[0]], draw_path(plan, draw)), strict=False):
        yield [float(np.float32(scale)) * z]


def _make_draw(job: SamplingJob, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], Any]:
    """draw ↦ `count` draws of the images from it on, `(count, B, *shape)`."""
    return job.path.draw(job.network, seed, ids, count) if job.path else job.network.noise(seed, ids, count)


def run_given(
    job: SamplingJob, x: Any, noise: Any, conditions: ConditionPair | None, chunk: int
) -> Iterator[tuple[Any, StepRecord | None]]:
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
        yield _run_batch(job, x[part], own, conditions and conditions.take(part), dtype)


def _run_batch(
    job: SamplingJob,
    start: Any,
    noise: Iterator[Any],
    conditions: ConditionPair | None,
    dtype: Any,
    keep: Callable[[Any], Any] | None = None,
) -> tuple[Any, StepRecord | None]:
    times = job.network.array(repeat_times(job.network.tell(job.plan.time), len(start), dtype))
    calls = make_guided_calls(job.network, job.plan, conditions, job.guidance, start, weak=job.weak)
    if job.network.spec.learned_variance:
        learned = LearnedVariance(job.plan, calls, noise, job.network.shape[0])
        calls, noise = learned.calls, learned
    steps = StepRecord() if job.want_trace else None
    if isinstance(start, np.ndarray) and steps is None:
        return numpy_loop.run(
            job.plan, calls, start, times, noise, limit=job.limit, keep=keep, on_call=job.on_call
        ), None
    return run(
        job.plan, calls, start, times, noise, limit=job.limit, steps=steps, keep=keep, on_call=job.on_call
    ), steps


def join_batches(
    network: Network, parts: Iterator[tuple[Any, StepRecord | None]], count: int, as_numpy: bool
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
