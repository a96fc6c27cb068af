"""Classifier agreement: how often a classifier sees the class that was asked for."""

from __future__ import annotations

import math

import numpy as np

from dtool.metrics.metric import metric
from dtool.metrics.pool import Array

Z95 = 1.959963984540054


def wilson(p: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share p of n: it has a width even where all agree, or none."""
    middle, spread = p + Z95**2 / (2 * n), Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    low, high = ((middle + sign * spread) / (1 + Z95**2 / n) for sign in (-1, 1))
    return max(0.0, min(low, p)), min(1.0, max(high, p))


def _interval(hits: Array) -> tuple[float, float]:
    return wilson(float(hits.mean()), len(hits))


def _null(reference: Array, n: int) -> tuple[float, float]:
    """Mean and standard deviation of n real images' agreement, as far as m real images tell: p(1-p)(1/n + 1/m)."""
    p, m = float(reference.mean()), len(reference)
    return p, math.sqrt(p * (1 - p) * (1 / n + 1 / m))


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
)
def agreement(samples: Array, reference: Array) -> float:
    """The share of the samples in which a classifier sees the class that was asked for.

    Needs labels and a classifier: a function of images, or an ONNX file. It says whether a sample is what was asked
    for, not how varied the samples are. Compared with the classifier's accuracy on the reference, if that has labels.
    """
    del reference
    return float(np.mean(samples))
