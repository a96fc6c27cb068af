"""The Fréchet distance between Gaussians fitted to features: the mathematics alone. numpy only."""

from __future__ import annotations

import numpy as np

from dtool.errors import UsageError
from dtool.util.arrays import Array


def frechet_distance(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """|μ - μ'|² + tr(Σ + Σ' - 2(Σ^½ Σ' Σ^½)^½), the squared 2-Wasserstein distance of two Gaussians (Fréchet, 1957).

    Means (d,), covariances (d, d), symmetric and at most singular. The roots are those of symmetric matrices (eigh).
    """
    root = square_root(covariance)
    cross = np.linalg.eigvalsh(root @ other_covariance @ root).clip(min=0)
    apart = float(((mean - other_mean) ** 2).sum())
    return max(0.0, apart + float(np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(cross).sum()))


def square_root(matrix: Array) -> Array:
    """The symmetric root of a symmetric positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(values.clip(min=0))) @ vectors.T)


def fit_gaussian(features: Array) -> tuple[Array, Array]:
    """Mean (d,) and unbiased covariance (d, d) of features (n, d); raises UsageError for a single row."""
    if len(features) < 2:
        raise UsageError("one sample has no covariance", "give 2 or more (-n 2)")
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))
