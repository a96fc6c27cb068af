"""Whether two recipes differ on a metric: a paired test on samples from the same seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dtool.errors import UsageError
from dtool.measure.half_sampling import draw_halves, recentred_interval
from dtool.metrics.classifier import Classifier
from dtool.metrics.definition import Metric
from dtool.metrics.evaluation import PERMUTATIONS, RESAMPLES, as_reference, resolve_metric
from dtool.metrics.pool import Masks, Pool
from dtool.metrics.reference import FeatureFunction, Reference, draw_order
from dtool.util.arrays import Array

MAX_ROWS = 1000  # pairs, and real images, for metrics of all pairs of points


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of a minus that of b.

    low, high: 95% interval, from random halves of the pairs and of the reference. p: the share of random
    exchanges within pairs that differ as much, in either direction. a, b: the two values. p takes this reference
    as given, the interval allows for another one: if it contains 0 and p is small, get more real images.
    """

    value: float
    low: float
    high: float
    p: float
    a: float
    b: float


def measure_difference(
    metric: str | Metric,
    a: ArrayLike,
    b: ArrayLike,
    reference: ArrayLike | Reference,
    *,
    labels: ArrayLike | None = None, features: FeatureFunction | None = None,
    classifier: Classifier | FeatureFunction | None = None,
    resamples: int = RESAMPLES, permutations: int = PERMUTATIONS, seed: int = 0,
) -> Difference:  # fmt: skip
    """Test whether samples a and b (n, *shape), the i-th of both from one seed, are equally far from the reference.

    The test is exact where a pair's two are exchangeable, as independent draws of one law are, and right for large n
    where they only have one law (Fisher's randomisation test; Chung and Romano 2013). Other arguments and errors as for
    `evaluate`; a and b have the same n.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> good, bad, real = law.sample(40, seed=0), law.sample(40, seed=2) + 0.5, law.sample(60, seed=1)
    >>> difference = dtool.metrics.measure_difference("mmd", good, bad, real)
    >>> difference.value < 0, difference.p < 0.05
    (True, True)
    """
    chosen_metric, against = resolve_metric(metric), as_reference(reference, features, classifier)
    x, y = (against.points(chosen_metric, images, labels, whose) for images, whose in ((a, "a"), (b, "b")))
    if len(x) != len(y):
        raise UsageError(f"a has {len(x)} samples, b {len(y)}", "compare samples of the same seeds")
    real = against.own_features(chosen_metric)
    if real is None:
        real = x[:1]  # not used: agreement depends on the samples alone
    most = None if chosen_metric.most is None else min(chosen_metric.most, MAX_ROWS)
    pairs = draw_order(len(x))[:most]
    pool = Pool(np.concatenate([x[pairs], y[pairs], real[draw_order(len(real))[:most]]]), against.scale(chosen_metric))
    n, m = len(pairs), len(pool) - 2 * len(pairs)
    chosen_metric.require(n, m)
    with chosen_metric.guard():
        return _run_paired_test(
            chosen_metric, pool, n, m, resamples, permutations, np.random.default_rng([seed, n, m, 2])
        )


def _run_paired_test(
    metric: Metric, pool: Pool, n: int, m: int, resamples: int, permutations: int, random: np.random.Generator
) -> Difference:
    total, rounds = 2 * n + m, metric.rounds or max(resamples, permutations)
    real = np.arange(total)[None] >= 2 * n
    exact = metric.with_engine(pool)
    first, second = (float(exact(_make_masks(np.full((1, n), flip), n, total), real)[0]) for flip in (False, True))
    engine = metric.with_engine(pool, spread=True)
    flips = random.random((1 + min(permutations, rounds), n)) < 0.5
    flips[0] = False
    one, other = engine(_make_masks(flips, n, total), real), engine(_make_masks(~flips, n, total), real)
    exchanged, slack = one - other, 1e-9 * np.abs(one - other).max() + 1e-13 * np.abs(pool.points).max()
    p = float((np.abs(exchanged) >= abs(exchanged[0]) - slack).mean())
    mine = draw_halves(random, 0, n, total, min(resamples, rounds))
    theirs = np.roll(mine, n, axis=1)
    some = draw_halves(random, 2 * n, m, total, len(mine))
    values: Array = engine(mine, some) - engine(theirs, some)
    low, high = recentred_interval(values, first - second)
    return Difference(value=first - second, low=low, high=high, p=p, a=first, b=second)


def _make_masks(flips: Masks, n: int, total: int) -> Masks:
    """Masks (R, total) of one of each pair: a's where `flips` (R, n) is false, b's where it is true."""
    masks = np.zeros((len(flips), total), dtype=bool)
    masks[:, :n] = ~flips
    masks[:, n : 2 * n] = flips
    return masks
