"""The Fréchet distance between Gaussians fitted to features, at n and extrapolated to infinitely many. numpy only."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.metrics.metric import Engine, each, metric
from dtool.metrics.pool import Array, Pool

PARTS = (1, 2, 3, 4)  # into how many the sets are divided
A_FEATURE = 2  # so many rows a feature, at least, for the distance of a part to be on the line a + b/n


def frechet(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
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


def plain(samples: Array, reference: Array) -> float:
    """The Fréchet distance of features (n, d) and (m, d) as they are; it falls as n or m grow."""
    return frechet(*_fitted(samples), *_fitted(reference))


def extrapolated(samples: Array, reference: Array) -> float:
    """The distance that infinitely many would have: a of a + b/n, fitted to the distances between parts.

    Both sets are divided at random into 1, 2, 3, 4 parts, and the i-th parts compared (after Chong and Forsyth 2020).
    It may be negative. Raises UsageError for fewer than 2 · A_FEATURE rows a feature.
    """
    n, d = min(len(samples), len(reference)), samples.shape[1]
    parts = [k for k in PARTS if n // k >= A_FEATURE * d and n // k >= 2]
    if len(parts) < 2:
        raise UsageError(
            f"{n} images are too few to extrapolate the Fréchet distance of {d} features",
            f"give {max(4, 2 * A_FEATURE * d)} or more, or say extrapolate=false",
        )
    random = np.random.default_rng(0)
    x, y = samples[random.permutation(len(samples))], reference[random.permutation(len(reference))]
    means = [np.mean([plain(x[i::k], y[i::k]) for i in range(k)]) for k in parts]
    return float(np.polynomial.Polynomial.fit(parts, means, 1).convert().coef[0])


def _fitted(features: Array) -> tuple[Array, Array]:
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _engine(pool: Pool, extrapolate: bool = True) -> Engine:
    return each(pool, extrapolated if extrapolate else plain)


def _plain_engine(pool: Pool, extrapolate: bool = True) -> Engine:
    del extrapolate  # a constant: how much the distance varies does not depend on it
    return each(pool, plain)


Extrapolate = Annotated[bool, Field(description="to infinitely many images, by fitting a + b/n")]
_FACTS: dict[str, Any] = {"unbiased": True, "matched": False, "minimum": 4, "engine": _engine, "spread": _plain_engine}
_CITE = "Heusel et al. 2017, eq. 6; Chong and Forsyth 2020"


@metric("fd", "Fréchet distance, pixels", features="pooled", cite=_CITE, **_FACTS)
def fd(samples: Array, reference: Array, *, extrapolate: Extrapolate = True) -> float:
    """Fréchet distance between Gaussians fitted to pixels, averaged over 8×8 cells (4×4 of several channels).

    Extrapolated to infinitely many images, since at n it is too large by about b/n: so it does not depend on n, on
    average, and may be negative. It needs 4 images a feature, 256 for 8×8 cells. It sees noise that is left over.
    """
    return extrapolated(samples, reference) if extrapolate else plain(samples, reference)


@metric("fd-features", "Fréchet distance, features", features="network", cite=_CITE, **_FACTS)
def fd_features(samples: Array, reference: Array, *, extrapolate: Extrapolate = True) -> float:
    """Fréchet distance between Gaussians fitted to a network's features, extrapolated to infinitely many images.

    FID is this distance, at n and on one particular network's features. Any function of images will do, or a classifier
    as an ONNX file, whose last layer but one is taken. It needs 4 images a feature.
    """
    return extrapolated(samples, reference) if extrapolate else plain(samples, reference)
