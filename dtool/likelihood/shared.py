"""Likelihoods by several processes: blocks of images, whose figures are joined in the order of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.likelihood.probability_flow import ode
from dtool.likelihood.result import Bound, Density
from dtool.likelihood.variational_bound import bound
from dtool.models.network import Network
from dtool.parts.workers import for_each_block
from dtool.util.arrays import Array

BLOCK = 16  # images of a block, or the batch size: part of what a figure's last bits depend on


@dataclass(frozen=True, kw_only=True)
class LikelihoodJob:
    """What every process needs: what opens the network, the method, and its options but those of single images."""

    opener: Callable[[], Network]
    method: Literal["bound", "ode"]
    options: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "network"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @cached_property
    def network(self) -> Network:
        """The network, opened when it is first needed."""
        return self.opener()


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageBlock:
    """Some of the images `(k, *shape)`, their ids and labels, from the `first`-th on."""

    first: int
    images: Array
    ids: Sequence[int]
    labels: NDArray[np.int64] | None

    def __str__(self) -> str:
        return f"images {self.first} to {self.first + len(self.images) - 1}"


def measure_block(job: LikelihoodJob, block: ImageBlock) -> Bound | Density:
    """The likelihood of one block: a pure function, in whatever process it is called."""
    compute: Callable[..., Bound | Density] = bound if job.method == "bound" else ode
    return compute(job.network, block.images, labels=block.labels, ids=block.ids, **job.options)


def measure_shared(
    job: LikelihoodJob, images: Array, ids: Sequence[int], labels: NDArray[np.int64] | None, *, workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Bound | Density:  # fmt: skip
    """The likelihood of all images by so many processes: the same bits for any number. `seconds` is None.

    Statistics of the analytic variance are given (in the job's options), for those of a block would be its own alone.
    """
    blocks = list(_split(images, ids, labels, job.options.get("batch_size") or BLOCK))
    done = 0

    def tell(block: ImageBlock) -> None:
        nonlocal done
        done += len(block.images)
        if progress is not None:
            progress(done, len(images))

    parts = list(for_each_block(job, measure_block, blocks, workers=workers, on_done=tell))
    return replace(reduce(_join, parts), seconds=None)


def _split(images: Array, ids: Sequence[int], labels: NDArray[np.int64] | None, size: int) -> Iterator[ImageBlock]:
    for first in range(0, len(images), size):
        own = slice(first, first + size)
        yield ImageBlock(first=first, images=images[own], ids=ids[own], labels=None if labels is None else labels[own])


def _join(one: Bound | Density, other: Bound | Density) -> Bound | Density:
    """The figures of neighbouring blocks as those of both together."""
    n, m = one.n, other.n
    if isinstance(one, Bound) and isinstance(other, Bound):
        mse = (one.mse * n + other.mse * m) / (n + m)
        return replace(one, per_image=np.concatenate([one.per_image, other.per_image], axis=1), mse=mse)
    assert isinstance(one, Density), "all blocks are measured alike"
    assert isinstance(other, Density), "all blocks are measured alike"
    return replace(
        one, per_image=np.concatenate([one.per_image, other.per_image]), error=max(one.error, other.error),
        checked=one.checked + other.checked, calls=(one.calls * n + other.calls * m) / (n + m),
    )  # fmt: skip
