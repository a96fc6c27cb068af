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

Pieces = Iterable[Any]  # arrays of images (k, *shape), or pairs of images and their classes (k,)


def evaluate_stream(
    samples: Pieces | ArrayLike,
    reference: Pieces | ArrayLike,
    names: Iterable[str | Metric] | None = None,
    *,
    features: FeatureFunction | None = None,
    classifier: Classifier | FeatureFunction | None = None,
    data_range: tuple[float, float] = (-1.0, 1.0),
    seed: int = 0,
) -> Figures:
    """Metrics of all samples against all real images, neither of which need fit into memory.

    samples, reference: arrays `(n, *shape)`, or pieces of such, in order, in whatever sizes: images `(k, *shape)` or
    pairs of images and classes `(k,)`; at least 800 images each. Every piece is read once; its features are kept in a
    scratch file. Figures are of all pairs of points, and have the same bits however the pieces were cut or made.
    Intervals, p and the null are of random halves of blocks of 100 images; density, precision, recall, coverage and
    Fréchet distances have no null here. names, features, classifier, data_range, seed: as for `evaluate_all`.
    Raises UsageError for sets that cannot be compared; for a named metric that cannot be computed.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> pieces = (law.sample(400, seed=i) for i in range(3))
    >>> figures = dtool.metrics.evaluate_stream(pieces, law.sample(1000, seed=9) + 0.5, ["mmd", "coverage"])
    >>> figures["mmd"].n, figures["mmd"].p < 0.05
    (1200, True)
    """
    metrics = list_metrics() if names is None else [resolve_metric(name) for name in names]
    figures = Figures()
    first, pieces = _peek(_list_pieces(reference))
    extractor = Reference(first, features=features, classifier=classifier, data_range=data_range)
    usable = _select(metrics, extractor, figures, named=names is not None)
    real = _collect_rows(extractor, usable, pieces, "the reference", figures, named=names is not None)
    mine = _collect_rows(extractor, usable, _list_pieces(samples), "the samples", figures, named=names is not None)
    pairs: dict[str, RowPair] = {}
    for metric in usable:
        if metric.token in figures.skipped:
            continue
        try:
            key = metric.feature_key
            if key not in pairs:
                pairs[key] = RowPair(mine[key], real[key], seed)
            with metric.guard():
                streamed = metric.evaluate_pair(pairs[key])
            figures[metric.token] = _complete(streamed, pairs[key])
        except (UsageError, PluginError) as error:
            if names is not None and isinstance(error, UsageError):
                raise
            figures.skipped[metric.token] = str(error)
    return figures


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
    extractor: Reference, metrics: list[Metric], pieces: Iterator[Any], whose: str, figures: Figures, *, named: bool
) -> dict[str, RowBlocks]:
    """The features of all pieces, by kind, each piece read once."""
    kinds = {metric.feature_key: metric for metric in metrics}
    rows = {key: RowBlocks() for key in kinds}
    for piece in pieces:
        images, labels = _split_piece(piece)
        for key, metric in kinds.items():
            if metric.token in figures.skipped:
                continue
            try:
                rows[key].append(extractor.points(metric, images, labels, whose))
            except (UsageError, PluginError) as error:
                if named or metric.features != "agreement":
                    raise
                figures.skipped[metric.token] = str(error)
    return rows


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
    return _split_piece(first)[0], itertools.chain([first], pieces)


def _split_piece(piece: Any) -> tuple[NDArray[Any], Any]:
    images, labels = piece if isinstance(piece, tuple) else (piece, None)
    return np.asarray(images), labels
