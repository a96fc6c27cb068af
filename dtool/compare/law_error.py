"""Law error: how far the samples of each recipe are from data, whatever solver they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.result import MetricSummary, ReferenceData
from dtool.errors import PluginError, UsageError
from dtool.measure.half_sampling import half_sampling_std
from dtool.measure.pooled_pixels import distance, floors
from dtool.metrics import Figure, Metric, Reference, evaluate_all, list_metrics, measure_difference, resolve_metric
from dtool.metrics.evaluation import PERMUTATIONS
from dtool.models.spec import PixelStatistics
from dtool.targets import Target

DRAWS = 2000  # of a closed form, to compare with
SIGNIFICANCE = 0.05
# This one is not extrapolated, unlike the metric `fd` on real images.
STATISTICS, TITLE = "fd", "Fréchet distance of pooled pixels at n images"
ImageArray = NDArray[np.float32]
Labels = NDArray[np.int64] | None


class Law(ABC):
    """What samples are compared with; `describe_metrics` is complete when all of them have been."""

    data: ReferenceData

    @abstractmethod
    def figures(self, images: ImageArray, labels: Labels) -> dict[str, Figure]:
        """The metrics of images `(n, *shape)` in the data range, with the classes `(n,)` that were asked for."""

    @abstractmethod
    def describe_metrics(self) -> tuple[MetricSummary, ...]:
        """The metrics, the headline first; those that could not be computed with the reason."""

    def p_value(self, one: ImageArray, other: ImageArray, labels: Labels, level: float = SIGNIFICANCE) -> float | None:
        """p of the hypothesis that both sets are equally far from the data; None if there is no test.

        level: the significance level that p will be compared with; it decides how precisely p is estimated.
        """
        del one, other, labels, level
        return None


class ImageLaw(Law):
    """Real images, by any metrics."""

    def __init__(self, reference: Reference, data: ReferenceData, names: Sequence[str] | None) -> None:
        """names: of metrics, default all that can be computed. Raises UsageError for an unknown one."""
        self.reference, self.data = reference, data
        self.asked = None if names is None else [resolve_metric(name) for name in names]
        self._known: dict[str, MetricSummary] = {}

    def figures(self, images: ImageArray, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        metrics = list_metrics() if self.asked is None else self.asked
        figures = evaluate_all(images, self.reference, self.asked, _filter_labels(labels, self.reference))
        for metric in metrics:
            figure, why = figures.get(metric.token), figures.skipped.get(metric.token)
            null = (None, None) if figure is None else (figure.null_mean, figure.null_sd)
            self._known[metric.token] = _summarise_metric(metric, *null, why)
        return dict(figures)

    def describe_metrics(self) -> tuple[MetricSummary, ...]:
        """As every law does."""
        return tuple(sorted(self._known.values(), key=lambda about: not about.headline))

    def p_value(self, one: ImageArray, other: ImageArray, labels: Labels, level: float = SIGNIFICANCE) -> float | None:
        """By the paired test of the headline."""
        best = next((about for about in self.describe_metrics() if about.skipped is None), None)
        if best is None:
            return None
        try:
            return measure_difference(
                best.name, one, other, self.reference, labels=_filter_labels(labels, self.reference),
                permutations=max(PERMUTATIONS, round(4 / level)),
            ).p  # fmt: skip
        except (UsageError, PluginError):
            return None


class TargetLaw(ImageLaw):
    """A closed form: exact draws of it as the data, and the 2-Wasserstein distance to the law itself."""

    def __init__(self, target: Target, names: Sequence[str] | None, seed: int) -> None:
        draws = target.sample(DRAWS, seed=seed + 1)
        super().__init__(Reference(draws), ReferenceData(f"{target.token}, exact draws", DRAWS), names)
        self.target = target
        self._floor: tuple[float | None, float | None] = (None, None)

    def figures(self, images: ImageArray, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        figures = super().figures(images, labels)
        far = self.target.w2(images)
        self._floor = far.floor, far.floor_sd
        z = (far.value - far.floor) / far.floor_sd if far.floor_sd > 0 else None
        low, high = far.value - 1.96 * far.sd, far.value + 1.96 * far.sd
        figures["w2"] = Figure(
            value=far.value, low=low, high=high, z=z, null_mean=far.floor, null_sd=far.floor_sd, n=len(images)
        )
        return figures

    def describe_metrics(self) -> tuple[MetricSummary, ...]:
        """As every law does."""
        mean, sd = self._floor
        distance_to_law = MetricSummary(
            name="w2", title="2-Wasserstein distance to the law", better="lower", headline=False, null_mean=mean,
            null_sd=sd,
        )  # fmt: skip
        return *super().describe_metrics(), distance_to_law


class StatisticsLaw(Law):
    """The pooled pixels' mean and covariance that a network keeps of its training images.

    The distance is not extrapolated: it falls as n grows. Its null is what n draws of the Gaussian with that mean and
    covariance score; real images, which are no Gaussian, score a little more.
    """

    def __init__(self, statistics: PixelStatistics, n: int) -> None:
        self.statistics = statistics
        self.data = ReferenceData("the network's training images", statistics.count)
        features = len(statistics.mean)
        enough = n > 2 * features
        self._why = None if enough else f"n={n} is too few for {features} features: use -n {4 * features}"
        draws = floors(statistics, n) if self._why is None else np.zeros(2)
        self._mean, self._sd = float(draws.mean()), float(draws.std(ddof=1))

    def figures(self, images: ImageArray, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        del labels
        if self._why is not None:
            return {}
        value = distance(images, self.statistics)
        reach = 1.96 * half_sampling_std(lambda part: distance(part, self.statistics), images, 50)
        z = (value - self._mean) / self._sd if self._sd > 0 else None
        figure = Figure(
            value=value, low=value - reach, high=value + reach, z=z, null_mean=self._mean, null_sd=self._sd,
            n=len(images),
        )  # fmt: skip
        return {STATISTICS: figure}

    def describe_metrics(self) -> tuple[MetricSummary, ...]:
        """As every law does."""
        summary = MetricSummary(
            name=STATISTICS, title=TITLE, better="lower", headline=True, null_mean=self._mean, null_sd=self._sd,
            skipped=self._why,
        )  # fmt: skip
        return (summary,)


def make_law(
    reference: Any, n: int, names: Sequence[str] | None, seed: int, name: str, statistics: PixelStatistics | None
) -> Law | None:
    """The law of what `dtool.compare` compares with: images, a Reference, a Target, statistics, or the network's own.

    Raises UsageError for metrics that need images where there are none.
    """
    if isinstance(reference, Target):
        return TargetLaw(reference, names, seed)
    if reference is not None and not isinstance(reference, PixelStatistics):
        real = reference if isinstance(reference, Reference) else Reference(np.asarray(reference))
        return ImageLaw(real, ReferenceData(name, len(real)), names)
    if names is not None and list(names) != [STATISTICS]:
        tokens = [resolve_metric(each).token for each in names]  # there may be no such metric
        raise UsageError(f"the metrics {', '.join(tokens)} need real images", "give some: --data FOLDER (reference=)")
    pixel_statistics = reference or statistics
    return None if pixel_statistics is None or n < 2 else StatisticsLaw(pixel_statistics, n)


def _summarise_metric(metric: Metric, mean: float | None, sd: float | None, why: str | None) -> MetricSummary:
    return MetricSummary(
        name=metric.token, title=metric.title, better=metric.better, headline=metric.headline, null_mean=mean,
        null_sd=sd, skipped=why,
    )  # fmt: skip


def _filter_labels(labels: Labels, reference: Reference) -> Labels:
    """Labels for metrics that ask for them; none where a class is "no class"."""
    return None if labels is None or reference.classifier is None or (labels < 0).any() else labels
