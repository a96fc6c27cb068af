"""Classifier agreement: how often a classifier sees the class that was asked for."""

from __future__ import annotations

import math

import numpy as np

from dtool.measure.share import wilson_interval
from dtool.metrics.definition import metric
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.util.arrays import Array


def _interval(hits: Array) -> tuple[float, float]:
    return wilson_interval(float(hits.mean()), len(hits))


def _null(reference: Array, n: int) -> tuple[float, float]:
    """Mean and standard deviation of n real images' agreement, as far as m real images tell: p(1-p)(1/n + 1/m)."""
    p, m = float(reference.mean()), len(reference)
    return p, math.sqrt(p * (1 - p) * (1 / n + 1 / m))


def _stream(pair: RowPair) -> StreamedFigure:
    hits = np.concatenate([pair.samples.read(i)[:, 0] for i in range(len(pair.samples))])
    low, high = _interval(hits)
    null = _null(np.concatenate([rows[:, 0] for _, rows in pair.reference.stripes()]), len(hits))
    return StreamedFigure(value=float(hits.mean()), low=low, high=high, null_mean=null[0], null_sd=null[1])


@metric(
    "agreement",
    "classifier agreement",
    better="higher",
    features="agreement",
    unbiased=True,
    minimum=1,
    matched=False,
    share=True,
    null=_null,
    interval=_interval,
    stream=_stream,
)
def agreement(samples: Array, reference: Array) -> float:
    """The share of the samples in which a classifier sees the class that was asked for.

    Needs labels and a classifier: a function of images, or an ONNX file. It says whether a sample has the class that
    was asked for, not how varied the samples are. Compared with the classifier's accuracy on the reference, if that has
    labels.
    """
    del reference
    return float(np.mean(samples))
