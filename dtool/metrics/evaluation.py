"""A metric's value with its interval, and its distance from what real images score among themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import PluginError, UsageError
from dtool.measure.half_sampling import draw_halves, recentred_interval
from dtool.metrics.classifier import Classifier
from dtool.metrics.definition import Metric
from dtool.metrics.pool import Masks, Pool
from dtool.metrics.reference import SPLITS, FeatureFunction, NullDistribution, Reference, draw_order
from dtool.plugins.registry import get_registry
from dtool.util.arrays import Array
from dtool.util.options import parse_token

RESAMPLES, PERMUTATIONS = 200, 500


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one set of samples.

    low, high: 95% interval, from random halves of both sets. z: how many standard deviations the value lies above the
    mean for two sets of real images, None if the reference is too small. p: the share of permutations of samples and
    real images that score as much, for MMD and energy. null_mean, null_sd: of the null. n, m: images compared.
    """

    value: float
    low: float
    high: float
    z: float | None
    p: float | None = None
    null_mean: float | None = None
    null_sd: float | None = None
    n: int = 0
    m: int = 0


class Figures(dict[str, Figure]):
    """Figures by the metric's name; `skipped`: those that could not be computed, with the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: dict[str, str] = {}


def resolve_metric(token: str | Metric, /, **options: Any) -> Metric:
    """The metric that a token names, e.g. `mmd` or `density:k=3`; raises UsageError for an unknown metric or option.

    >>> metric = dtool.metrics.resolve_metric("density:k=3")
    >>> metric.token, metric.better
    ('density:k=3', 'higher')
    """
    if isinstance(token, Metric):
        return token.bind(**{**dict(token.options), **options}) if options else token
    name, values = parse_token(token)
    metric: Metric = get_registry().metrics.get(name)
    return metric.bind(**{**dict(metric.options), **values, **options})


def evaluate(
    metric: str | Metric,
    samples: ArrayLike,
    reference: ArrayLike | Reference,
    *,
    labels: ArrayLike | None = None, features: FeatureFunction | None = None,
    classifier: Classifier | FeatureFunction | None = None,
    resamples: int = RESAMPLES, permutations: int = PERMUTATIONS, splits: int = SPLITS, seed: int = 0,
) -> Figure:  # fmt: skip
    """One metric of samples (n, *shape) against real images (m, *shape), both in the data range.

    reference: images, or a `Reference`, which caches what is computed from them. labels: classes that were asked for
    (n,). features, classifier: see `Reference`. resamples, permutations: random halves, and relabellings, to draw.
    splits: of the reference, for the null. seed: of the halves and the relabellings.
    Raises UsageError for sets that cannot be compared: another shape, NaN, too few images, missing labels.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> figure = dtool.metrics.evaluate("mmd", law.sample(40, seed=0) + 0.5, law.sample(60, seed=1))
    >>> figure.low > 0, figure.p < 0.05
    (True, True)
    """
    against = as_reference(reference, features, classifier)
    return _Evaluation(against, samples, labels, resamples, permutations, splits, seed).figure(resolve_metric(metric))


def evaluate_all(
    samples: ArrayLike,
    reference: ArrayLike | Reference,
    names: Iterable[str | Metric] | None = None,
    labels: ArrayLike | None = None,
    *,
    features: FeatureFunction | None = None, classifier: Classifier | FeatureFunction | None = None,
    resamples: int = RESAMPLES, permutations: int = PERMUTATIONS, splits: int = SPLITS, seed: int = 0,
) -> Figures:  # fmt: skip
    """`evaluate` for several metrics, by the names they were given, sharing distances.

    names: default all that are installed and need no option; those that cannot be computed here are in `.skipped`, with
    the reason. A named metric that cannot be computed raises UsageError, unless the fault is its plugin's.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> figures = dtool.metrics.evaluate_all(law.sample(40, seed=0), law.sample(60, seed=1), ["mmd", "energy"])
    >>> list(figures), figures["mmd"].n, figures["mmd"].m
    (['mmd', 'energy'], 40, 60)
    """
    against = as_reference(reference, features, classifier)
    work = _Evaluation(against, samples, labels, resamples, permutations, splits, seed)
    figures = Figures()
    for metric in list_metrics() if names is None else [resolve_metric(name) for name in names]:
        try:
            figures[metric.token] = work.figure(metric)
        except UsageError as error:
            if names is not None:
                raise
            figures.skipped[metric.token] = str(error)
        except PluginError as error:  # the plugin's own fault, even if it was named: the others are unaffected
            figures.skipped[metric.token] = str(error)
    return figures


def list_metrics() -> list[Metric]:
    """The metrics that are installed and need no option; warns of one that cannot be loaded.

    >>> [metric.name for metric in dtool.metrics.list_metrics()][:3]
    ['mmd', 'fd', 'fd-features']
    """
    return [metric for _, metric in get_registry().metrics.iterate_loaded() if metric.ready]


def check_values(values: Any, metric: Metric) -> Array:
    """The values of a metric's engine as float64 `(R,)`; raises UsageError for another shape."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(
            f"{metric.name} returned an array {array.shape}, not one number per pair", "correct the metric"
        )
    return array


def as_reference(
    reference: ArrayLike | Reference, features: FeatureFunction | None, classifier: Classifier | FeatureFunction | None
) -> Reference:
    """Images (m, *shape) as a `Reference`; raises UsageError for features or a classifier beside one."""
    if not isinstance(reference, Reference):
        return Reference(reference, features=features, classifier=classifier)
    if features is not None or classifier is not None:
        raise UsageError("a Reference has its own features and classifier", "give them to Reference(…)")
    return reference


class _Evaluation:
    """One set of samples against one reference; features and distances are shared between metrics."""

    def __init__(
        self, reference: Reference, samples: ArrayLike, labels: ArrayLike | None, resamples: int, permutations: int,
        splits: int, seed: int,
    ) -> None:  # fmt: skip
        if min(resamples, permutations, splits) < 2:
            raise UsageError("resamples, permutations and splits must be 2 or more", "leave them out for the defaults")
        self.reference, self.samples, self.labels = reference, samples, labels
        self.resamples, self.permutations, self.splits, self.seed = resamples, permutations, splits, seed
        self._points: dict[str, NDArray[Any]] = {}
        self._pools: dict[tuple[str, int | None], tuple[Pool, int]] = {}

    def figure(self, metric: Metric) -> Figure:
        """The metric's value, interval, z and p; raises PluginError for a fault of a plugin's metric."""
        with metric.guard():
            figure = self._figure(metric)
        if metric.foreign and not np.isfinite([figure.value, figure.low, figure.high]).all():
            raise PluginError(
                f"{metric.origin} returned {figure.value}, which is no finite number",
                str(getattr(metric.origin, "remedy", "")),
            )
        return figure

    def _figure(self, metric: Metric) -> Figure:
        reference = self.reference
        if metric.feature_key not in self._points:
            self._points[metric.feature_key] = reference.points(metric, self.samples, self.labels)
        x, y = self._points[metric.feature_key], reference.own_features(metric)
        n, m = reference.sizes(metric, len(x))
        if y is None:
            y, m = x[:0], 0
        else:
            metric.require(n, m)
        pool, first = self._pool(metric, x, y)
        total = len(pool)
        a, b = (np.zeros((1, total), dtype=bool) for _ in range(2))
        a[0, :n], b[0, first : first + m] = True, True
        random = np.random.default_rng([self.seed, n, m])
        permuted = self._draw_permutations(random, n, first, m, total) if metric.permutation else (a[:0], b[:0])
        half = self._draw_halves(metric, random, n, first, m, total)
        values = metric.with_engine(pool)(
            *_stack_masks((a, b), permuted, half if metric.spread is None else (a[:0], b[:0]))
        )
        values = check_values(values, metric)
        value, scores = float(values[0]), values[: 1 + len(permuted[0])]
        p = float((scores >= value).mean()) if metric.permutation else None
        if metric.interval is not None:
            low, high = metric.interval(pool.points[:n])
        else:
            spreading = metric.with_engine(pool, spread=True)(*half) if metric.spread else values[len(scores) :]
            low, high = recentred_interval(spreading, value, n if metric.share else None)
        null = reference.null(metric, n, m, self.splits) if m else NullDistribution(None, None)
        return Figure(
            value=value, low=low, high=high, z=null.z(value), p=p, null_mean=null.mean, null_sd=null.sd, n=n, m=m
        )

    def _pool(self, metric: Metric, x: NDArray[Any], y: NDArray[Any]) -> tuple[Pool, int]:
        """Samples and real images, as many as the metric takes, in random order; and how many are samples."""
        key = (metric.feature_key, metric.most)
        if key not in self._pools:
            self._pools.clear()  # distances are large: one set of them at a time
            mine, real = (v[draw_order(len(v))[: metric.most]] for v in (x, y))
            self._pools[key] = Pool(np.concatenate([mine, real]), self.reference.scale(metric)), len(mine)
        return self._pools[key]

    def _draw_permutations(
        self, random: np.random.Generator, n: int, first: int, m: int, total: int
    ) -> tuple[Masks, Masks]:
        """Random relabellings of the n samples and m real images as samples and real images."""
        a, b = np.zeros((2, self.permutations, total), dtype=bool)
        places = np.concatenate([np.arange(n), np.arange(first, first + m)])
        for row in range(self.permutations):
            order = random.permutation(places)
            a[row, order[:n]] = b[row, order[n:]] = True
        return a, b

    def _draw_halves(
        self, metric: Metric, random: np.random.Generator, n: int, first: int, m: int, total: int
    ) -> tuple[Masks, Masks]:
        """Random halves of the samples and of the real images; none if the interval needs none."""
        times = 0 if metric.interval is not None else min(self.resamples, metric.rounds or self.resamples)
        return draw_halves(random, 0, n, total, times), draw_halves(random, first, m, total, times)


def _stack_masks(*pairs: tuple[Masks, Masks]) -> tuple[Masks, Masks]:
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
