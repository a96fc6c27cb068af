"""evaluate_stream(...): metrics of more images than memory holds, from features that are read block by block."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import PluginError, UsageError
from dtool.metrics.classifier import Classifier
from dtool.metrics.definition import Metric
from dtool.metrics.evaluation import Figure, Figures, list_metrics, resolve_metric
from dtool.metrics.reference import FeatureFunction, NullDistribution, Reference
from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.metrics.row_workers import FeatureJob, extract_all, share_pairs, split_piece

Pieces = Iterable[Any]  # arrays of images (k, *shape), pairs of images and their classes (k,), or what gives either


def evaluate_stream(
    samples: Pieces | ArrayLike,
    reference: Pieces | ArrayLike,
    names: Iterable[str | Metric] | None = None,
    *,
    features: FeatureFunction | None = None,
    classifier: Classifier | FeatureFunction | None = None,
    data_range: tuple[float, float] = (-1.0, 1.0),
    seed: int = 0,
    workers: int = 1,
) -> Figures:
    """Metrics of all samples against all real images, neither of which need fit into memory.

    samples, reference: arrays `(n, *shape)`, or pieces of such, in order, in whatever sizes: images `(k, *shape)`,
    pairs of images and classes `(k,)`, or functions that give either; at least 800 images each. Every piece is read
    once; its features are kept in a scratch file. Figures are of all pairs of points, and have the same bits however
    the pieces were cut or made.
    Intervals, p and the null are of random halves of blocks of 100 images; density, precision, recall, coverage and
    Fréchet distances have no null here. names, features, classifier, data_range, seed: as for `evaluate_all`.
    workers: processes that make features and sums, for which features and classifier must be functions of a module, or
    a `Classifier`, and metrics registered; the bits are those of one, if each sums with as many threads.
    Raises UsageError for sets that cannot be compared; for a named metric that cannot be computed.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> pieces = (law.sample(400, seed=i) for i in range(3))
    >>> figures = dtool.metrics.evaluate_stream(pieces, law.sample(1000, seed=9) + 0.5, ["mmd", "coverage"])
    >>> figures["mmd"].n, figures["mmd"].p < 0.05
    (1200, True)
    """
    metrics = list_metrics() if names is None else [resolve_metric(name) for name in names]
    figures, named = Figures(), names is not None
    first, pieces = _peek(_list_pieces(reference))
    extractor = Reference(first, features=features, classifier=classifier, data_range=data_range)
    usable = _select(metrics, extractor, figures, named=named)
    kinds = {metric.feature_key: metric for metric in usable}
    job = FeatureJob(
        first=first, features=features, classifier=classifier, data_range=data_range, metrics=[*kinds.values()],
        must=named,
    )  # fmt: skip
    real, skipped = _collect_rows(job, pieces, "the reference", workers)
    mine, more = _collect_rows(job, _list_pieces(samples), "the samples", workers)
    pairs, unpaired = _make_pairs(mine, real, skipped | more, seed)
    with share_pairs(pairs, workers):
        for metric in usable:
            key = metric.feature_key
            try:
                if key in unpaired:
                    raise unpaired[key]
                with metric.guard():
                    streamed = metric.evaluate_pair(pairs[key])
                figures[metric.token] = _complete(streamed, pairs[key])
            except (UsageError, PluginError) as error:
                if named and isinstance(error, UsageError):
                    raise
                figures.skipped[metric.token] = str(error)
    return figures


def _make_pairs(
    mine: dict[str, RowBlocks], real: dict[str, RowBlocks], skipped: dict[str, str], seed: int
) -> tuple[dict[str, RowPair], dict[str, UsageError]]:
    """The rows of either side by kind, and for which kinds there is no pair, with the reason."""
    pairs: dict[str, RowPair] = {}
    unpaired = {key: UsageError(why) for key, why in skipped.items()}
    for key in mine.keys() - unpaired.keys():
        try:
            pairs[key] = RowPair(mine[key], real[key], seed)
        except UsageError as error:
            unpaired[key] = error
    return pairs, unpaired


def _complete(streamed: StreamedFigure, pair: RowPair) -> Figure:
    """The figure with its z and the numbers of rows."""
    null = NullDistribution(streamed.null_mean, streamed.null_sd)
    return Figure(
        value=streamed.value, low=streamed.low, high=streamed.high, p=streamed.p, z=null.z(streamed.value),
        null_mean=null.mean, null_sd=null.sd, n=pair.samples.count, m=pair.reference.count,
    )  # fmt: skip


def _select(metrics: list[Metric], extractor: Reference, figures: Figures, *, named: bool) -> list[Metric]:
    """Those of the metrics that can be computed block by block; the others are skipped, or refused if named."""
    usable = []
    for metric in metrics:
        why = ""
        if metric.stream is None:
            why = f"{metric.name} needs all images at once"
        elif metric.features == "network" and metric.extract is None and extractor.features is None:
            why = f"{metric.token} needs features of images"
        elif metric.features == "agreement" and extractor.classifier is None:
            why = "agreement needs a classifier"
        if why and named:
            raise UsageError(why, "leave it out, or use dtool.metrics.evaluate")
        if why:
            figures.skipped[metric.token] = why
        else:
            usable.append(metric)
    return usable


def _collect_rows(
    job: FeatureJob, pieces: Iterable[Any], whose: str, workers: int
) -> tuple[dict[str, RowBlocks], dict[str, str]]:
    """The features of all pieces by kind, each piece read once; and for which kinds there are none, with the reason."""
    rows = {metric.feature_key: RowBlocks(is_shared=workers > 1) for metric in job.metrics}
    skipped: dict[str, str] = {}
    for extracted in extract_all(job, pieces, whose, workers):
        for key, features in extracted.items():
            if isinstance(features, str):
                skipped.setdefault(key, features)
            elif key not in skipped:
                rows[key].append(features)
    return rows, skipped


def _list_pieces(images: Pieces | ArrayLike) -> Iterator[Any]:
    """Pieces as they come; of an array a thousand images at a time."""
    if isinstance(images, np.ndarray):
        yield from (images[i : i + 1000] for i in range(0, len(images), 1000))
    else:
        yield from iter(images)  # type: ignore[arg-type]


def _peek(pieces: Iterator[Any]) -> tuple[NDArray[Any], Iterator[Any]]:
    """The images of the first piece, and all pieces."""
    first = next(pieces, None)
    if first is None:
        raise UsageError("the reference is empty", "give real images")
    return split_piece(first)[0], itertools.chain([first], pieces)
