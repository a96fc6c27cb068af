"""Features of pieces and sums of blocks by worker processes, in the order of the ids: the same bits for any number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import PluginError, UsageError
from dtool.metrics.classifier import Classifier
from dtool.metrics.definition import Metric
from dtool.metrics.evaluation import resolve_metric
from dtool.metrics.reference import FeatureFunction, Reference
from dtool.metrics.row_pair import RowPair
from dtool.parts.workers import for_each_block, keep_workers


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureJob:
    """What makes features of images: given to each worker, metrics by their tokens, a classifier as its file.

    first: an image or more of the shape that all have. metrics: one for each kind of features. must: whether features
    that cannot be had are an error, and not left out.
    """

    first: NDArray[Any]
    features: FeatureFunction | None
    classifier: Classifier | FeatureFunction | None
    data_range: tuple[float, float]
    metrics: Sequence[Metric] = field(repr=False)
    must: bool

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value for name, value in vars(self).items() if name != "extractor"}
        return own | {"first": self.first[:1], "metrics": [metric.token for metric in self.metrics]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"metrics": [resolve_metric(token) for token in state["metrics"]]})

    @cached_property
    def extractor(self) -> Reference:
        """Makes the features."""
        return Reference(self.first, features=self.features, classifier=self.classifier, data_range=self.data_range)


def extract_features(job: FeatureJob, piece: Any, whose: str) -> dict[str, NDArray[Any] | str]:
    """The features `(k, d)` of a piece by kind, or why there are none: a pure function, in whatever process.

    piece: images, a pair of images and classes, or a function that gives either.
    """
    images, labels = split_piece(piece)
    rows: dict[str, NDArray[Any] | str] = {}
    for metric in job.metrics:
        try:
            rows[metric.feature_key] = job.extractor.points(metric, images, labels, whose)
        except (UsageError, PluginError) as error:
            if job.must or metric.features != "agreement":
                raise
            rows[metric.feature_key] = str(error)
    return rows


def split_piece(piece: Any) -> tuple[NDArray[Any], Any]:
    """A piece's images, and its classes, if it has any."""
    held = piece() if callable(piece) else piece
    images, labels = held if isinstance(held, tuple) else (held, None)
    return np.asarray(images), labels


def extract_all(
    job: FeatureJob, pieces: Iterable[Any], whose: str, workers: int
) -> Iterator[dict[str, NDArray[Any] | str]]:
    """The features of every piece, in their order."""
    return for_each_block(job, partial(extract_features, whose=whose), pieces, workers=workers)


@dataclass(frozen=True)
class RowTask:
    """A function of one of several pairs and a place in it."""

    key: str
    function: Callable[[RowPair, Any], Any]
    place: Any

    def __str__(self) -> str:
        return "rows of features"


def do_task(pairs: Mapping[str, RowPair], task: RowTask) -> Any:
    """What a worker does."""
    return task.function(pairs[task.key], task.place)


@contextmanager
def share_pairs(pairs: Mapping[str, RowPair], workers: int) -> Iterator[None]:
    """Let so many workers do what the pairs are asked to map, for as long as the context lasts."""
    if workers == 1 or not pairs:
        yield
        return
    with keep_workers(pairs, do_task, workers=workers) as each:
        for key, pair in pairs.items():
            pair.share(partial(_map, each, key))
        yield


def _map(
    each: Callable[[Iterable[RowTask]], Iterator[Any]], key: str, function: Callable[..., Any], places: Iterable[Any]
) -> Iterator[Any]:
    return each(RowTask(key, function, place) for place in places)
