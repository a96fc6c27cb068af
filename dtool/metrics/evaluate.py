"""A metric with what there is to say about it: how sure, and how far from what real images score among themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import PluginError, UsageError
from dtool.metrics.agreement import wilson
from dtool.metrics.classifier import Classifier
from dtool.metrics.metric import Metric
from dtool.metrics.pool import Array, Masks, Pool
from dtool.metrics.reference import SPLITS, Function, Null, Reference, chosen, halves
from dtool.options import parsed
from dtool.plugins.registry import registry

RESAMPLES, PERMUTATIONS = 200, 500


@dataclass(frozen=True)
class Figure:
    """One metric of one set of samples.

    low, high: 95% interval, from random halves of both sets. z: how many standard deviations above the mean the value
    is for two sets of real images, None if the reference does not tell. p: share of the permutations of samples and
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
    """Figures by the metric's name; `skipped` are those that could not be had, with the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: dict[str, str] = {}


def named(token: str | Metric, /, **options: Any) -> Metric:
    """The metric that a token names, e.g. `mmd` or `density:k=3`; raises UsageError if there is none, or no option."""
    if isinstance(token, Metric):
        return token.bind(**{**dict(token.options), **options}) if options else token
    name, written = parsed(token)
    found: Metric = registry().metrics.get(name)
    return found.bind(**{**dict(found.options), **written, **options})


def evaluate(
    metric: str | Metric,
    samples: ArrayLike,
    reference: ArrayLike | Reference,
    *,
    labels: ArrayLike | None = None,
    features: Function | None = None,
    classifier: Classifier | Function | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    splits: int = SPLITS,
    seed: int = 0,
) -> Figure:
    """One metric of samples (n, *shape) against real images (m, *shape), both in the data range.

    reference: images, or a `Reference` that keeps what is found from them. labels: classes that were asked for (n,).
    features, classifier: see `Reference`. resamples, permutations: random halves, and relabellings, to draw. splits: of
    the reference, for the null. seed: of the halves and the relabellings.
    Raises UsageError for what cannot be compared: another shape, NaN, too few images, missing labels.
    """
    against = _reference(reference, features, classifier)
    return _Evaluation(against, samples, labels, resamples, permutations, splits, seed).figure(named(metric))


def evaluate_all(
    samples: ArrayLike,
    reference: ArrayLike | Reference,
    names: Iterable[str | Metric] | None = None,
    labels: ArrayLike | None = None,
    *,
    features: Function | None = None,
    classifier: Classifier | Function | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    splits: int = SPLITS,
    seed: int = 0,
) -> Figures:
    """`evaluate` for several metrics, by the names they were given, sharing distances.

    names: default all that are installed and need no option; those that cannot be had here are in `.skipped`, with the
    reason. A metric that was named and cannot be had raises UsageError, unless the fault is its own plugin's.
    """
    against = _reference(reference, features, classifier)
    work = _Evaluation(against, samples, labels, resamples, permutations, splits, seed)
    found = Figures()
    for metric in available() if names is None else [named(name) for name in names]:
        try:
            found[metric.token] = work.figure(metric)
        except UsageError as error:
            if names is not None:
                raise
            found.skipped[metric.token] = str(error)
        except PluginError as error:  # of its own making, even if it was named: the others are whole
            found.skipped[metric.token] = str(error)
    return found


def available() -> list[Metric]:
    """The metrics that are installed and need no option; of one that cannot be loaded there is a warning."""
    return [metric for _, metric in registry().metrics.loaded() if metric.ready]


def numbers(values: Any, metric: Metric) -> Array:
    """What a metric's engine gave, as float64 `(R,)`."""
    made = np.asarray(values, dtype=np.float64)
    if made.ndim != 1:
        raise UsageError(f"{metric.name} gave an array {made.shape}, not one number a pair", "mend the metric")
    return made


def _reference(
    given: ArrayLike | Reference, features: Function | None, classifier: Classifier | Function | None
) -> Reference:
    if not isinstance(given, Reference):
        return Reference(given, features=features, classifier=classifier)
    if features is not None or classifier is not None:
        raise UsageError("a Reference has its own features and classifier", "give them to Reference(…)")
    return given


class _Evaluation:
    """One set of samples against one reference; features and distances are shared between metrics."""

    def __init__(
        self, reference: Reference, samples: ArrayLike, labels: ArrayLike | None, resamples: int, permutations: int,
        splits: int, seed: int,
    ) -> None:  # fmt: skip
        if min(resamples, permutations, splits) < 2:
            raise UsageError("resamples, permutations and splits are 2 or more", "leave them out for the defaults")
        self.reference, self.samples, self.labels = reference, samples, labels
        self.resamples, self.permutations, self.splits, self.seed = resamples, permutations, splits, seed
        self._points: dict[str, NDArray[Any]] = {}
        self._pools: dict[tuple[str, int | None], tuple[Pool, int]] = {}

    def figure(self, metric: Metric) -> Figure:
        """The metric's value, interval, z and p; raises PluginError for what a stranger's metric does wrong."""
        with metric.guard():
            found = self._figure(metric)
        if metric.foreign and not np.isfinite([found.value, found.low, found.high]).all():
            raise PluginError(
                f"{metric.origin} gave {found.value}, and no finite number", str(getattr(metric.origin, "remedy", ""))
            )
        return found

    def _figure(self, metric: Metric) -> Figure:
        reference = self.reference
        if metric.place not in self._points:
            self._points[metric.place] = reference.points(metric, self.samples, self.labels)
        x, y = self._points[metric.place], reference.own(metric)
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
        permuted = self._permuted(random, n, first, m, total) if metric.permutation else (a[:0], b[:0])
        half = self._halved(metric, random, n, first, m, total)
        values = metric.with_engine(pool)(
            *_stacked((a, b), permuted, half if metric.spread is None else (a[:0], b[:0]))
        )
        values = numbers(values, metric)
        value, scores = float(values[0]), values[: 1 + len(permuted[0])]
        p = float((scores >= value).mean()) if metric.permutation else None
        if metric.interval is not None:
            low, high = metric.interval(pool.points[:n])
        else:
            spreading = metric.with_engine(pool, spread=True)(*half) if metric.spread else values[len(scores) :]
            low, high = spread(spreading, value, n if metric.share else None)
        null = reference.null(metric, n, m, self.splits) if m else Null(None, None)
        return Figure(value, low, high, null.z(value), p, null.mean, null.sd, n, m)

    def _pool(self, metric: Metric, x: NDArray[Any], y: NDArray[Any]) -> tuple[Pool, int]:
        """Samples and real images, as many as the metric takes, in random order; and how many are samples."""
        key = (metric.place, metric.most)
        if key not in self._pools:
            self._pools.clear()  # distances are large: one set of them at a time
            mine, real = (v[chosen(len(v))[: metric.most]] for v in (x, y))
            self._pools[key] = Pool(np.concatenate([mine, real]), self.reference.scale(metric)), len(mine)
        return self._pools[key]

    def _permuted(self, random: np.random.Generator, n: int, first: int, m: int, total: int) -> tuple[Masks, Masks]:
        """Random relabellings of the n samples and m real images as samples and real images."""
        a, b = np.zeros((2, self.permutations, total), dtype=bool)
        places = np.concatenate([np.arange(n), np.arange(first, first + m)])
        for row in range(self.permutations):
            order = random.permutation(places)
            a[row, order[:n]] = b[row, order[n:]] = True
        return a, b

    def _halved(
        self, metric: Metric, random: np.random.Generator, n: int, first: int, m: int, total: int
    ) -> tuple[Masks, Masks]:
        """Random halves of the samples and of the real images; none if the interval is found without."""
        times = 0 if metric.interval is not None else min(self.resamples, metric.rounds or self.resamples)
        return halves(random, 0, n, total, times), halves(random, first, m, total, times)


def _stacked(*pairs: tuple[Masks, Masks]) -> tuple[Masks, Masks]:
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def spread(values: Array, value: float, count: int | None = None) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of `values`, moved so that their mean is `value`.

    count: `value` is a share of so many. The interval then keeps to 0 … 1, and is at least as wide as Wilson's, since
    near 0 or 1 halves are too much like each other.
    """
    low, high = (value + np.quantile(values, (0.025, 0.975)) - values.mean()).tolist()
    low, high = min(low, value), max(high, value)
    if count is not None:
        least, most = wilson(value, count)
        low, high = max(0.0, min(low, least)), min(1.0, max(high, most))
    return low, high
