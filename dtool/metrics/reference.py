"""The real images, and all that is computed from them once: features, the typical distance, the null."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.measure.pooled_pixels import choose_grid, pool_pixels
from dtool.metrics.classifier import Classifier, apply_in_batches
from dtool.metrics.definition import Metric, check_rows, flatten_rows
from dtool.metrics.pool import Pool, typical_distance
from dtool.util.arrays import Array

FeatureFunction = Callable[[NDArray[Any]], ArrayLike]
SPLITS = 100


@dataclass(frozen=True)
class NullDistribution:
    """A metric between real images and real images: its mean and standard deviation at the sizes that were compared.

    A standard deviation of 0, or None for both, means that there is no null: the reference is too small, or constant.
    """

    mean: float | None
    sd: float | None

    def z(self, value: float) -> float | None:
        """How many standard deviations `value` is above the mean."""
        if self.mean is None or not self.sd:
            return None
        return (value - self.mean) / self.sd


class Reference:
    """Real images (m, *shape) in the network's data range, and what samples need to be compared with them.

    labels: their classes (m,), for the null of classifier agreement. features: (n, *shape) → (n, d), for metrics on a
    network's features; by default the classifier's. classifier: a `Classifier`, or (n, *shape) → classes (n,) or scores
    (n, classes). Results are cached, so pass the same object to every evaluation. Raises UsageError for no images.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> reference = dtool.metrics.Reference(law.sample(60, seed=1))
    >>> [dtool.metrics.evaluate(name, law.sample(40), reference).m for name in ("mmd", "energy")]
    [60, 60]
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        features: FeatureFunction | None = None,
        classifier: Classifier | FeatureFunction | None = None,
        data_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        self.images = np.asarray(images)
        flatten_rows(self.images, "the images of the reference")
        self.labels = None if labels is None else _check_labels(labels, len(self.images), "the reference")
        self.classifier = classifier
        self.features = features or getattr(classifier, "features", None)
        self.data_range = data_range
        self._points: dict[str, NDArray[Any]] = {}
        self._scales: dict[str, float] = {}
        self._nulls: dict[tuple[str, int, int, int], NullDistribution] = {}

    def __len__(self) -> int:
        return len(self.images)

    def own_features(self, metric: Metric) -> NDArray[Any] | None:
        """The reference's features for this metric, (m, d); None for agreement if it has no labels."""
        if metric.feature_key not in self._points:
            if metric.features == "agreement" and self.labels is None:
                return None
            self._points[metric.feature_key] = self.points(metric, self.images, self.labels, "the reference")
        return self._points[metric.feature_key]

    def points(
        self, metric: Metric, images: ArrayLike, labels: ArrayLike | None, whose: str = "the samples"
    ) -> NDArray[Any]:
        """Features (n, d) of images (n, *shape) for this metric; labels (n,) are the classes that were asked for.

        Raises UsageError for another shape, for NaN or infinity, and where features or labels are missing.
        """
        array = np.asarray(images)
        pixels = flatten_rows(array, whose)
        if array.shape[1:] != self.images.shape[1:]:
            raise UsageError(
                f"{whose} are {array.shape[1:]}, the reference {self.images.shape[1:]}",
                "compare with images of the same shape",
            )
        if metric.extract is not None:
            options = {key: value for key, value in metric.options if key != "on"}
            with metric.guard():
                sealed = array.view()
                sealed.setflags(write=False)
                features = metric.extract(sealed, self.data_range, **options)
            return check_rows(features, f"the features of {whose}")
        if metric.features == "pixels":
            return pixels
        if metric.features == "pooled":
            return _pool_images(array, pixels)
        if metric.features == "network":
            if self.features is None:
                raise UsageError(
                    f"{metric.token} needs features of images", "give features=, or a classifier as an ONNX file"
                )
            return check_rows(apply_in_batches(self.features, array), f"the features of {whose}")
        return self._agreement(array, labels, whose)

    def _agreement(self, images: NDArray[Any], labels: ArrayLike | None, whose: str) -> Array:
        if self.classifier is None:
            raise UsageError("agreement needs a classifier", "give classifier=: a function, or Classifier('file.onnx')")
        if labels is None:
            raise UsageError("agreement needs the classes that were asked for", "give labels=, one for each sample")
        classes = _check_labels(labels, len(images), whose)
        answers = apply_in_batches(self.classifier, images)
        if answers.ndim == 2 and answers.shape[1] > 1:
            answers = answers.argmax(axis=1)
        if answers.size != len(images):
            raise UsageError(
                f"the classifier returned {answers.shape} for {len(images)} images",
                "return a class per image, or a score per class",
            )
        return np.asarray(answers.reshape(-1, 1) == classes[:, None], dtype=np.float64)

    def scale(self, metric: Metric) -> float:
        """The typical distance within the reference's features."""
        if metric.feature_key not in self._scales:
            own = self.own_features(metric)
            self._scales[metric.feature_key] = 0.0 if own is None else typical_distance(own)
        return self._scales[metric.feature_key]

    def sizes(self, metric: Metric, n: int) -> tuple[int, int]:
        """How many of n samples, and of the reference's images, `evaluate` compares."""
        most = metric.most or max(n, len(self))
        m = min(len(self), most)
        if not metric.matched:
            return min(n, most), m
        return min(n, m // 2), min(n, m // 2)

    def null(self, metric: Metric, n: int, m: int, splits: int = SPLITS) -> NullDistribution:
        """The metric between real images and other real images, at sizes n and m.

        Halves of the reference are compared, `splits` times. For a matched metric they are of n and m images; for
        others the mean and the standard deviation are multiplied by (1/n + 1/m) / (1/h + 1/h), h being the half's size.
        """
        own = self.own_features(metric)
        if own is None or splits < 2:
            return NullDistribution(None, None)
        if metric.null is not None:
            return NullDistribution(*metric.null(own, n))
        used = len(own) if metric.most is None else min(len(own), metric.most)
        half = n if metric.matched else used // 2
        key = (metric.token, half, used, splits)
        if key not in self._nulls:
            self._nulls[key] = self._split(metric, own, half, used, splits)
        null = self._nulls[key]
        if metric.matched or null.mean is None or null.sd is None:
            return null
        ratio = (1 / n + 1 / m) * half / 2
        return NullDistribution(null.mean * ratio, null.sd * ratio)

    def _split(self, metric: Metric, own: NDArray[Any], half: int, used: int, splits: int) -> NullDistribution:
        random = np.random.default_rng(0)
        pool = Pool(own[draw_order(len(own))[:used]], self.scale(metric))
        a, b = np.zeros((2, min(splits, metric.rounds or splits), used), dtype=bool)
        for row in range(len(a)):
            order = random.permutation(used)
            a[row, order[:half]] = b[row, order[half : 2 * half]] = True
        try:
            metric.require(half, half)
            values = metric.with_engine(pool)(a, b)
        except UsageError:  # half of the reference is too small for this metric
            return NullDistribution(None, None)
        sd = float(values.std(ddof=1))
        return NullDistribution(float(values.mean()), sd if sd > 1e-12 * abs(values).max() else 0.0)


def draw_order(count: int) -> NDArray[np.intp]:
    """The order in which images are taken where not all are used: a random one, always the same."""
    return np.random.default_rng(1).permutation(count)


def _pool_images(images: NDArray[Any], pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels averaged over cells; samples that are not pictures stay as they are."""
    if images.ndim not in (3, 4):
        return pixels
    grid = choose_grid(images.shape[1:])
    return np.concatenate([pool_pixels(images[i : i + 1024], grid) for i in range(0, len(images), 1024)])


def _check_labels(labels: ArrayLike, n: int, whose: str) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise UsageError(
            f"the labels of {whose} are {array.dtype} {array.shape}, not {n} whole numbers", "give one class per image"
        )
    return array.astype(np.int64)
