"""Law error: how far the samples of each recipe are from data, whatever solver they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.frechet import distance, floors
from dtool.compare.result import About, Data
from dtool.errors import PluginError, UsageError
from dtool.halves import spread
from dtool.metrics import Figure, Metric, Reference, available, differs, evaluate_all, named
from dtool.metrics.evaluate import PERMUTATIONS
from dtool.networks.spec import PixelStatistics
from dtool.targets import Target

DRAWS = 2000  # of a closed form, to compare with
SURE = 0.05
# Not extrapolated, as the metric on real images is.
STATISTICS, TITLE = "fd", "Fréchet distance of pooled pixels at n images"
Images = NDArray[np.float32]
Labels = NDArray[np.int64] | None


class Law(ABC):
    """What samples are compared with; `abouts` is complete when all have been."""

    data: Data

    @abstractmethod
    def figures(self, images: Images, labels: Labels) -> dict[str, Figure]:
        """The metrics of images `(n, *shape)` in the data range, with the classes `(n,)` that were asked for."""

    @abstractmethod
    def abouts(self) -> tuple[About, ...]:
        """The metrics, the headline first; those that could not be had with the reason."""

    def apart(self, one: Images, other: Images, labels: Labels, level: float = SURE) -> float | None:
        """p of the hypothesis that both sets are equally far from the data, None if that cannot be said.

        level: what p will be held against; it decides how finely p is known.
        """
        del one, other, labels, level
        return None


class ImageLaw(Law):
    """Real images, by any metrics."""

    def __init__(self, reference: Reference, data: Data, names: Sequence[str] | None) -> None:
        """names: of metrics, default all that can be had. Raises UsageError for one that is none."""
        self.reference, self.data = reference, data
        self.asked = None if names is None else [named(name) for name in names]
        self._known: dict[str, About] = {}

    def figures(self, images: Images, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        metrics = available() if self.asked is None else self.asked
        found = evaluate_all(images, self.reference, self.asked, _whole(labels, self.reference))
        for metric in metrics:
            figure, why = found.get(metric.token), found.skipped.get(metric.token)
            null = (None, None) if figure is None else (figure.null_mean, figure.null_sd)
            self._known[metric.token] = _about(metric, *null, why)
        return dict(found)

    def abouts(self) -> tuple[About, ...]:
        """As every law does."""
        return tuple(sorted(self._known.values(), key=lambda about: not about.headline))

    def apart(self, one: Images, other: Images, labels: Labels, level: float = SURE) -> float | None:
        """By the paired test of the headline."""
        best = next((about for about in self.abouts() if about.skipped is None), None)
        if best is None:
            return None
        try:
            return differs(
                best.name, one, other, self.reference, labels=_whole(labels, self.reference),
                permutations=max(PERMUTATIONS, round(4 / level)),
            ).p  # fmt: skip
        except (UsageError, PluginError):
            return None


class TargetLaw(ImageLaw):
    """A closed form: exact draws of it as the data, and the 2-Wasserstein distance to the law itself."""

    def __init__(self, target: Target, names: Sequence[str] | None, seed: int) -> None:
        draws = target.sample(DRAWS, seed=seed + 1)
        super().__init__(Reference(draws), Data(f"{target.token}, exact draws", DRAWS), names)
        self.target = target
        self._floor: tuple[float | None, float | None] = (None, None)

    def figures(self, images: Images, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        found = super().figures(images, labels)
        far = self.target.w2(images)
        self._floor = far.floor, far.floor_sd
        z = (far.value - far.floor) / far.floor_sd if far.floor_sd > 0 else None
        low, high = far.value - 1.96 * far.sd, far.value + 1.96 * far.sd
        found["w2"] = Figure(far.value, low, high, z, None, *self._floor, len(images), 0)
        return found

    def abouts(self) -> tuple[About, ...]:
        """As every law does."""
        return *super().abouts(), About("w2", "2-Wasserstein distance to the law", "lower", False, *self._floor)


class StatisticsLaw(Law):
    """The pooled pixels' mean and covariance that a network keeps of its training images.

    The distance is not extrapolated: it falls as n grows. Its null is what n draws of the Gaussian with that mean and
    covariance score; real images, which are no Gaussian, score a little more.
    """

    def __init__(self, statistics: PixelStatistics, n: int) -> None:
        self.statistics = statistics
        self.data = Data("the network's training images", statistics.count)
        features = len(statistics.mean)
        enough = n > 2 * features
        self._why = None if enough else f"n={n} is too few for {features} features: use -n {4 * features}"
        draws = floors(statistics, n) if self._why is None else np.zeros(2)
        self._mean, self._sd = float(draws.mean()), float(draws.std(ddof=1))

    def figures(self, images: Images, labels: Labels) -> dict[str, Figure]:
        """As every law does."""
        del labels
        if self._why is not None:
            return {}
        value = distance(images, self.statistics)
        reach = 1.96 * spread(lambda part: distance(part, self.statistics), images, 50)
        z = (value - self._mean) / self._sd if self._sd > 0 else None
        return {STATISTICS: Figure(value, value - reach, value + reach, z, None, self._mean, self._sd, len(images), 0)}

    def abouts(self) -> tuple[About, ...]:
        """As every law does."""
        return (About(STATISTICS, TITLE, "lower", True, self._mean, self._sd, self._why),)


def law_of(
    reference: Any, n: int, names: Sequence[str] | None, seed: int, name: str, statistics: PixelStatistics | None
) -> Law | None:
    """What `dtool.compare` was given to compare with: images, a Reference, a Target, statistics, or the network's own.

    Raises UsageError for metrics that need images where there are none.
    """
    if isinstance(reference, Target):
        return TargetLaw(reference, names, seed)
    if reference is not None and not isinstance(reference, PixelStatistics):
        made = reference if isinstance(reference, Reference) else Reference(np.asarray(reference))
        return ImageLaw(made, Data(name, len(made)), names)
    if names is not None and list(names) != [STATISTICS]:
        for each in names:
            named(each)  # there may be no such metric
        raise UsageError(f"the metrics {', '.join(names)} need real images", "give some: --data FOLDER (reference=)")
    known = reference or statistics
    return None if known is None or n < 2 else StatisticsLaw(known, n)


def _about(metric: Metric, mean: float | None, sd: float | None, why: str | None) -> About:
    return About(metric.token, metric.title, metric.better, metric.headline, mean, sd, why)


def _whole(labels: Labels, reference: Reference) -> Labels:
    """Labels for metrics that ask for them; none where a class is "no class"."""
    return None if labels is None or reference.classifier is None or (labels < 0).any() else labels
