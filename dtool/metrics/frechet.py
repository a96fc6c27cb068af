"""Fréchet distances as metrics: of pixels or of features, at n and extrapolated to infinitely many."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.measure.frechet import fit_gaussian, frechet_distance
from dtool.metrics.definition import Engine, make_loop_engine, metric
from dtool.metrics.pool import Pool
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.metrics.stream_frechet import fit_to_infinity, stream_frechet
from dtool.util.arrays import Array

PARTS = (1, 2, 3, 4)  # into how many the sets are divided
ROWS_PER_FEATURE = 2  # rows per feature that the distance of a part needs, at least, to lie on the line a + b/n


def plain_distance(samples: Array, reference: Array) -> float:
    """The Fréchet distance of features (n, d) and (m, d) as they are; it falls as n or m grow."""
    return frechet_distance(*fit_gaussian(samples), *fit_gaussian(reference))


def extrapolated_distance(samples: Array, reference: Array) -> float:
    """The distance that infinitely many would have: a of a + b/n, fitted to the distances between parts.

    Both sets are divided at random into 1, 2, 3, 4 parts, and the i-th parts compared (after Chong and Forsyth 2020).
    It may be negative. Raises UsageError for fewer than 2 · ROWS_PER_FEATURE rows per feature.
    """
    parts = _choose_parts(min(len(samples), len(reference)), samples.shape[1])
    random = np.random.default_rng(0)
    x, y = samples[random.permutation(len(samples))], reference[random.permutation(len(reference))]
    means = [float(np.mean([plain_distance(x[i::k], y[i::k]) for i in range(k)])) for k in parts]
    return fit_to_infinity(parts, means)


def _choose_parts(n: int, d: int) -> list[int]:
    """Into how many parts n rows of d features may be divided; raises UsageError if a line has too few points."""
    parts = [k for k in PARTS if n // k >= ROWS_PER_FEATURE * d and n // k >= 2]
    if len(parts) < 2:
        raise UsageError(
            f"{n} images are too few to extrapolate the Fréchet distance of {d} features",
            f"give {max(4, 2 * ROWS_PER_FEATURE * d)} or more, or use extrapolate=false",
        )
    return parts


def _engine(pool: Pool, extrapolate: bool = True) -> Engine:
    return make_loop_engine(pool, extrapolated_distance if extrapolate else plain_distance)


def _plain_engine(pool: Pool, extrapolate: bool = True) -> Engine:
    del extrapolate  # it shifts the distance by a constant: the spread does not depend on it
    return make_loop_engine(pool, plain_distance)


def _stream(pair: RowPair, extrapolate: bool = True) -> StreamedFigure:
    rows = min(pair.samples.count, pair.reference.count)
    return stream_frechet(pair, _choose_parts(rows, pair.samples.width) if extrapolate else [1])


Extrapolate = Annotated[bool, Field(description="to infinitely many images, by fitting a + b/n")]
_FACTS: dict[str, Any] = {
    "unbiased": True, "matched": False, "minimum": 4, "engine": _engine, "spread": _plain_engine, "stream": _stream,
}  # fmt: skip
_CITE = "Heusel et al. 2017, eq. 6; Chong and Forsyth 2020"


@metric("fd", "Fréchet distance, pixels", features="pooled", cite=_CITE, **_FACTS)
def fd(samples: Array, reference: Array, *, extrapolate: Extrapolate = True) -> float:
    """Fréchet distance between Gaussians fitted to pixels, averaged over 8×8 cells (4×4 of several channels).

    Extrapolated to infinitely many images, since at n it is too large by about b/n: so it does not depend on n, on
    average, and may be negative. It needs 4 images per feature, 256 for 8×8 cells. It sees noise that is left over.
    """
    return extrapolated_distance(samples, reference) if extrapolate else plain_distance(samples, reference)


@metric("fd-features", "Fréchet distance, features", features="network", cite=_CITE, **_FACTS)
def fd_features(samples: Array, reference: Array, *, extrapolate: Extrapolate = True) -> float:
    """Fréchet distance between Gaussians fitted to a network's features, extrapolated to infinitely many images.

    FID is this distance, at n and on one particular network's features. Any function of images will do, or a classifier
    as an ONNX file, whose last layer but one is taken. It needs 4 images per feature.
    """
    return extrapolated_distance(samples, reference) if extrapolate else plain_distance(samples, reference)
