"""Likelihoods by several processes: blocks of images, whose figures are joined in the order of the images."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.compare.kept_images import make_cache_key
from dtool.compare.work_sharing import UnfinishedError, WorkSharing, open_folder
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


def measure_parts(
    job: LikelihoodJob, images: Array, ids: Sequence[int], labels: NDArray[np.int64] | None, sharing: WorkSharing,
    progress: Callable[[int, int], None] | None = None,
) -> Bound | Density:  # fmt: skip
    """As `measure_shared`, with the figures of each block left in a folder, where other parts leave theirs.

    Raises UnfinishedError if figures of other parts are missing, DtoolError for a folder of other images, and for an
    altered block.
    """
    assert sharing.folder is not None, "parts meet in a folder"
    folder = open_folder(sharing, _describe(job, images, ids, labels, sharing.files), what="likelihood")
    blocks = list(_split(images, ids, labels, job.options.get("batch_size") or BLOCK))
    mine = [block for block in sharing.share.take(blocks) if not folder.has(job.method, block.first)]
    measured: Bound | Density | None = None
    done = 0
    for block, measured in zip(mine, for_each_block(job, measure_block, mine, workers=sharing.workers), strict=True):
        folder.write(job.method, block.first, _pack(measured))
        done += len(block.images)
        if progress is not None:
            progress(done, sum(len(one.images) for one in mine))
    missing = sum(not folder.has(job.method, block.first) for block in blocks)
    if missing:
        raise UnfinishedError(sharing.folder, missing, len(blocks))
    like = measured or measure_block(job, blocks[0])  # for what all blocks have in common
    parts = (folder.read_block(job.method, block.first, len(block.images) + 1) for block in blocks)
    return replace(reduce(_join, [_unpack(like, values) for values in parts]), seconds=None)


def _describe(
    job: LikelihoodJob, images: Array, ids: Sequence[int], labels: NDArray[np.int64] | None, files: Sequence[Path]
) -> dict[str, Any]:
    """All that the figures depend on."""
    options = {name: value if _is_plain(value) else _hash(value) for name, value in job.options.items()}
    return make_cache_key(
        job.network, files, method=job.method, images=_hash(images), ids=_hash(np.asarray(ids)),
        labels=None if labels is None else _hash(labels), **options,
    )  # fmt: skip


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _hash(value: Any) -> str:
    data = np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else pickle.dumps(value, protocol=5)
    return hashlib.sha256(data).hexdigest()[:16]


def _pack(one: Bound | Density) -> Array:
    """The figures of a block as one array: those of all its images in the first row, then a row for each image."""
    if isinstance(one, Bound):
        return np.concatenate([np.concatenate([[np.nan], one.mse])[None], one.per_image.T])
    values = np.zeros((1 + one.n, 3))
    values[0], values[1:, 0] = (one.error, one.checked, one.calls), one.per_image
    return values


def _unpack(like: Bound | Density, values: Array) -> Bound | Density:
    """The figures that `_pack` made an array of; like: those of another block."""
    if isinstance(like, Bound):
        return replace(like, per_image=np.ascontiguousarray(values[1:].T), mse=values[0, 1:])
    error, checked, calls = values[0].tolist()
    return replace(like, per_image=values[1:, 0].copy(), error=error, checked=int(checked), calls=calls)


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
