"""dtool.sample(...): images from a network and a plan, on whatever backend the network is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends.load import with_tensors
from dtool.backends.loop import Steps, network_times, run
from dtool.backends.noise import checked_ids
from dtool.errors import DtoolError, UsageError
from dtool.networks.guidance import guided
from dtool.networks.network import Network, rows_for
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.prediction import for_network


@dataclass(frozen=True)
class Trace:
    """The steps of a run: `x` `(steps + 1, n, *shape)`, `x0` `(steps, n, *shape)`, the image predicted at each step."""

    x: Any
    x0: Any


@dataclass(frozen=True)
class Samples:
    """What a run gave. `x0` `(n, *shape)`: numpy float32, or what the given start was.

    `labels` `(n,)` or None, `ids` `(n,)` or None (own start), `plan` as it was run, `calls` network calls an image,
    `seconds` of wall time, `trace` if asked for.
    """

    x0: Any
    labels: NDArray[np.int64] | None
    ids: NDArray[np.uint64] | None
    plan: Plan
    calls: int
    seconds: float
    trace: Trace | None = None


@dataclass(frozen=True)
class _Job:
    """Everything that all micro-batches of a run have in common."""

    network: Network
    plan: Plan
    guidance: float
    bounds: tuple[float, float] | None
    want_trace: bool
    called: Callable[[], None] | None


def sample(
    network: Network,
    plan: Plan | str,
    *,
    n: int | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    x: Any = None,
    noise: Any = None,
    steps: int | None = None,
    trace: bool = False,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Sample images.

    plan: a Plan (translated for this network if it was made for another), or a recipe, with `steps`.
    n: how many images, default 16: those with ids 0 … n-1 of `seed`; or give `ids`. Image i of a seed is the same
    picture on every backend, and the same bits in any batch.
    labels: a class for all, or one each; -1 means no class. By default image i of a conditional network gets class
    i mod classes. guidance, clip: the network's own by default.
    x: your own start `(B, *shape)`, with `noise` `(draws, B, *shape)` if the plan needs it: `plan.draws` of them, or
    one for each of `plan.rows`. The run then computes in the dtype of `x`, as one batch.
    batch_size: images at a time; the same bits are promised for the same batch_size.
    progress(done, total): after every network call.
    Raises UsageError for what cannot be had, DtoolError if the result is not finite.
    """
    as_numpy = type(x).__module__.partition(".")[0] != "torch"
    if x is not None:
        network, x, noise = _on_one_backend(network, x, noise, as_numpy)
    table = _plan_for(network, plan, steps)
    count = _count(n, ids, x)
    classes = _labels(network, labels, ids, count)
    chunk = batch_size or (count if x is not None else network.micro_batch)
    if chunk < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    scale = network.spec.guidance if guidance is None else guidance
    if guidance is not None and guidance != 1 and classes is None:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    clipped = network.spec.clip if clip is None else clip
    total = table.rows * -(-count // chunk)
    called = _counter(progress, total)
    job = _Job(network, table, scale, network.spec.data_range if clipped else None, trace, called)
    started = time.perf_counter()
    if x is None:
        if noise is not None:
            raise UsageError("noise is given without a start", "give x= too")
        names = checked_ids(np.arange(count) if ids is None else np.asarray(ids, dtype=np.int64))
        parts = _generated(job, seed, names, classes, chunk)
    else:
        names = None
        parts = _given(job, x, noise, classes, chunk)
    x0, steps_taken = _joined(network, parts, count, as_numpy)
    samples = Samples(x0, classes, names, table, table.rows, time.perf_counter() - started, steps_taken)
    if not bool((abs(x0) < np.inf).all()):
        raise DtoolError(
            f"{table.recipe} gave numbers that are not finite", "look at the plan (dtool plan), or try clip=True"
        )
    return samples


def _on_one_backend(network: Network, x: Any, noise: Any, as_numpy: bool) -> tuple[Network, Any, Any]:
    """The network and the user's arrays, brought together."""
    if as_numpy:
        return network, network.array(np.asarray(x)), None if noise is None else network.array(np.asarray(noise))
    network = with_tensors(network)
    if network.backend == "torch":
        return network, x.to(network.device), None if noise is None else noise.to(network.device)
    return network, x.detach().cpu().numpy(), None if noise is None else noise.detach().cpu().numpy()


def _plan_for(network: Network, plan: Plan | str, steps: int | None) -> Plan:
    if isinstance(plan, Plan):
        if steps is not None and steps != plan.steps:
            raise UsageError(f"the plan has {plan.steps} steps", "leave out steps, or give a recipe")
        return for_network(plan, network.schedule, network.prediction)
    return make_plan(plan, steps=steps, network=network)


def _count(n: int | None, ids: Sequence[int] | None, x: Any) -> int:
    given = [len(v) for v in (ids, x) if v is not None]
    if len(given) == 2:
        raise UsageError("ids name generated starts, and x is your own", "give one of them")
    count = given[0] if given else (16 if n is None else n)
    if n is not None and n != count:
        raise UsageError(f"n={n}, but {count} starts are given", "leave out n")
    if count < 1:
        raise UsageError(f"n={n} images cannot be sampled", "ask for 1 or more")
    return count


def _labels(
    network: Network, labels: int | Sequence[int] | None, ids: Sequence[int] | None, count: int
) -> NDArray[np.int64] | None:
    if network.classes == 0:
        if labels is not None:
            raise UsageError("this network is not conditional", "leave out the classes")
        return None
    if labels is None:
        return (np.arange(count) if ids is None else np.asarray(ids, dtype=np.int64)) % network.classes
    values = np.asarray(labels, dtype=np.int64)
    values = np.full(count, values) if values.ndim == 0 else values
    if values.shape != (count,):
        raise UsageError(f"{len(values)} classes for {count} images", "give one class, or one each")
    if (values < -1).any() or (values >= network.classes).any():
        raise UsageError(
            f"classes are 0 … {network.classes - 1}; got {values.min()} … {values.max()}", "-1 means no class"
        )
    return np.where(values == -1, network.classes, values)


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None] | None:
    if progress is None:
        return None
    done = 0

    def called() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return called


def _generated(
    job: _Job, seed: int, ids: NDArray[np.uint64], labels: NDArray[np.int64] | None, chunk: int
) -> Iterator[tuple[Any, Steps | None]]:
    """The micro-batches of generated starts, each of exactly `chunk` images; the last one padded with its last."""
    for first in range(0, len(ids), chunk):
        index = np.minimum(np.arange(first, first + chunk), len(ids) - 1)
        names = ids[index]
        noise = _Noise(job.network, seed, names, job.plan.rows)
        start = job.plan.init * noise(-1)
        yield _run(job, start, noise, None if labels is None else labels[index], np.float32)


class _Noise:
    """The generated noise of one micro-batch, row by row; made for several rows at a time, which is much faster."""

    def __init__(self, network: Network, seed: int, ids: NDArray[np.uint64], rows: int) -> None:
        self._network, self._seed, self._ids = network, seed, ids
        self._at_a_time = rows_for((len(ids), *network.shape), 1 << 17)
        self._rows = rows
        self._first = 0
        self._block: Any = ()

    def __call__(self, row: int) -> Any:
        """The noise of a plan's row, `(B, *shape)`; row -1 is the start."""
        if row < 0:
            return self._network.normals(self._seed, self._ids, 0, 1)[0]
        if not self._first <= row < self._first + len(self._block):
            self._first = row
            count = min(self._at_a_time, self._rows - row)
            self._block = self._network.normals(self._seed, self._ids, row + 1, count)
        return self._block[row - self._first]


def _given(
    job: _Job, x: Any, noise: Any, labels: NDArray[np.int64] | None, chunk: int
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
    job: _Job, start: Any, noise: Callable[[int], Any], labels: NDArray[np.int64] | None, dtype: Any
) -> tuple[Any, Steps | None]:
    times = job.network.array(network_times(job.plan, len(start), dtype))
    predict = guided(job.network, labels, job.guidance)
    steps = Steps() if job.want_trace else None
    x0 = run(job.plan, predict, start, times, noise, bounds=job.bounds, steps=steps, called=job.called)
    return x0, steps


def _joined(
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
