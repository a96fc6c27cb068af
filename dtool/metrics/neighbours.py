"""Density, precision, recall and coverage: which points lie in the balls of k nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dtool.errors import UsageError
from dtool.metrics.definition import Engine, metric
from dtool.metrics.pool import Indices, Masks, Pool
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.metrics.stream_neighbours import stream_neighbours
from dtool.util.arrays import Array

ROWS = 2000  # of the reference, in `evaluate`: half of them are compared at a time
K = Annotated[int, Field(gt=0, description="nearest neighbours that make a ball")]
Inside = Iterator[NDArray[np.bool_]]


def radii(pool: Pool, of: Indices, k: int) -> Array:
    """The squared distance from each point to its k-th nearest other one among `of`: (len(of),)."""
    if len(of) <= k:
        raise UsageError(f"{len(of)} images have no {k} nearest neighbours", f"give {k + 1} or more, or a smaller k")
    parts = [np.partition(pool.squared_distances(block, of), k, axis=1)[:, k] for block in pool.blocks(of, len(of))]
    return np.concatenate(parts)


def find_inside(pool: Pool, centres: Indices, squares: Array, points: Indices) -> Inside:
    """Whether `points` lie in the balls around `centres`: booleans (some centres, len(points)), piece by piece."""
    done = 0
    for block in pool.blocks(centres, len(points)):
        yield pool.squared_distances(block, points) <= squares[done : done + len(block), None]
        done += len(block)


def _precision(pool: Pool, a: Indices, b: Indices, squares: Array, k: int) -> float:
    del k
    is_inside = np.zeros(len(a), dtype=bool)
    for part in find_inside(pool, b, squares, a):
        is_inside |= part.any(axis=0)
    return float(is_inside.mean())


def _density(pool: Pool, a: Indices, b: Indices, squares: Array, k: int) -> float:
    return sum(int(part.sum()) for part in find_inside(pool, b, squares, a)) / (k * len(a))


def _coverage(pool: Pool, a: Indices, b: Indices, squares: Array, k: int) -> float:
    del k
    return sum(int(part.any(axis=1).sum()) for part in find_inside(pool, b, squares, a)) / len(b)


def _engine(pool: Pool, k: int, counted: Callable[..., float], swapped: bool = False) -> Engine:
    """The engine of one of the four. `swapped`: the balls are the samples', as recall has it."""
    squares: dict[bytes, Array] = {}

    def one(a: Masks, b: Masks) -> float:
        points, centres = np.flatnonzero(a), np.flatnonzero(b)
        key = b.tobytes()
        if key not in squares:  # the reference is often that of the time before
            squares.clear()
            squares[key] = radii(pool, centres, k)
        return counted(pool, points, centres, squares[key], k)

    def run(a: Masks, b: Masks) -> Array:
        pairs = zip(*np.broadcast_arrays(a, b), strict=True)
        return np.array([one(second, first) if swapped else one(first, second) for first, second in pairs])

    return run


def _compare_whole(samples: Array, reference: Array, engine: Callable[[Pool, int], Engine], k: int) -> float:
    first = np.arange(len(samples) + len(reference))[None] < len(samples)
    return float(engine(Pool(np.concatenate([samples, reference]), 0.0), k)(first, ~first)[0])


def _make_facts(name: str, engine: Callable[[Pool, int], Engine], **more: Any) -> dict[str, Any]:
    def stream(pair: RowPair, k: int) -> StreamedFigure:
        return stream_neighbours(pair, name, k)

    return {"better": "higher", "most": ROWS, "matched": True, "engine": engine, "stream": stream, **more}


_PRECISION = partial(_engine, counted=_precision)
_DENSITY = partial(_engine, counted=_density)
_COVERAGE = partial(_engine, counted=_coverage)
_RECALL = partial(_engine, counted=_precision, swapped=True)


@metric("density", "density", **_make_facts("density", _DENSITY), unbiased=True, cite="Naeem et al. 2020, eq. 4")
def density(samples: Array, reference: Array, *, k: K = 5) -> float:
    """In how many of the reference's balls a sample lies, over k: 1 where the two laws are one.

    A ball reaches from a real image to its k-th nearest real one. Noise brings it down; samples that are too typical,
    or too pale, bring it above 1. `evaluate` takes as many samples as half the reference.
    """
    return _compare_whole(samples, reference, _DENSITY, k)


@metric(
    "precision", "precision", **_make_facts("precision", _PRECISION, share=True), cite="Kynkäänniemi et al. 2019, eq. 2"
)
def precision(samples: Array, reference: Array, *, k: K = 5) -> float:
    """The share of the samples that lie in the ball of some real image: how many look real.

    A ball reaches from an image to its k-th nearest neighbour. The figure depends on n: compare it with its null.
    """
    return _compare_whole(samples, reference, _PRECISION, k)


@metric("recall", "recall", **_make_facts("recall", _RECALL, share=True), cite="Kynkäänniemi et al. 2019, eq. 2")
def recall(samples: Array, reference: Array, *, k: K = 5) -> float:
    """The share of the real images that lie in the ball of some sample: how much of the data is drawn at all.

    A ball reaches from a sample to its k-th nearest sample, so that samples far from all others make it too large.
    """
    return _compare_whole(samples, reference, _RECALL, k)


@metric("coverage", "coverage", **_make_facts("coverage", _COVERAGE, share=True), cite="Naeem et al. 2020, eq. 4")
def coverage(samples: Array, reference: Array, *, k: K = 5) -> float:
    """The share of the real images whose ball has a sample in it: falls where a kind of image is not drawn.

    A ball reaches from a real image to its k-th nearest real one. The figure depends on n: compare it with its null.
    """
    return _compare_whole(samples, reference, _COVERAGE, k)
