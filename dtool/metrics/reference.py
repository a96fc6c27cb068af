"""The real images, and all that is found from them once: features, the typical distance, the real-real null."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.data.pooled import default_grid, pooled
from dtool.errors import UsageError
from dtool.metrics.classifier import Classifier, in_batches
from dtool.metrics.metric import Metric, flat, rows
from dtool.metrics.pool import Array, Masks, Pool, typical

Function = Callable[[NDArray[Any]], ArrayLike]
SPLITS = 100


@dataclass(frozen=True)
class Null:
    """A metric between real images and real images: its mean and standard deviation at the sizes that were compared.

    A standard deviation of 0, or none of both, says that nothing can be told: the reference is too small, or constant.
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
    (n, classes). What is found is kept, so hand the same one to every evaluation. Raises UsageError for no images.
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        features: Function | None = None,
        classifier: Classifier | Function | None = None,
        data_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        self.images = np.asarray(images)
        flat(self.images, "the images of the reference")
        self.labels = None if labels is None else _labels(labels, len(self.images), "the reference")
        self.classifier = classifier
        self.features = features or getattr(classifier, "features", None)
        self.data_range = data_range
        self._points: dict[str, NDArray[Any]] = {}
        self._scales: dict[str, float] = {}
        self._nulls: dict[tuple[str, int, int, int], Null] = {}

    def __len__(self) -> int:
        return len(self.images)

    def own(self, metric: Metric) -> NDArray[Any] | None:
        """The reference's features for this metric, (m, d); None for agreement if it has no labels."""
        if metric.place not in self._points:
            if metric.features == "agreement" and self.labels is None:
                return None
            self._points[metric.place] = self.points(metric, self.images, self.labels, "the reference")
        return self._points[metric.place]

    def points(
        self, metric: Metric, images: ArrayLike, labels: ArrayLike | None, whose: str = "the samples"
    ) -> NDArray[Any]:
        """Features (n, d) of images (n, *shape) for this metric; labels (n,) are those that were asked for.

        Raises UsageError for another shape, for what is not finite, and where features or labels are missing.
        """
        given = np.asarray(images)
        pixels = flat(given, whose)
        if given.shape[1:] != self.images.shape[1:]:
            raise UsageError(
                f"{whose} are {given.shape[1:]}, the reference {self.images.shape[1:]}",
                "compare with images of the same shape",
            )
        if metric.extract is not None:
            options = {key: value for key, value in metric.options if key != "on"}
            with metric.guard():
                sealed = given.view()
                sealed.setflags(write=False)
                made = metric.extract(sealed, self.data_range, **options)
            return rows(made, f"the features of {whose}")
        if metric.features == "pixels":
            return pixels
        if metric.features == "pooled":
            return _pooled(given, pixels)
        if metric.features == "network":
            if self.features is None:
                raise UsageError(
                    f"{metric.token} needs features of images", "give features=, or a classifier as an ONNX file"
                )
            return rows(in_batches(self.features, given), f"the features of {whose}")
        return self._agreement(given, labels, whose)

    def _agreement(self, images: NDArray[Any], labels: ArrayLike | None, whose: str) -> Array:
        if self.classifier is None:
            raise UsageError("agreement needs a classifier", "give classifier=: a function, or Classifier('file.onnx')")
        if labels is None:
            raise UsageError("agreement needs the classes that were asked for", "give labels=, one for each sample")
        wanted = _labels(labels, len(images), whose)
        seen = in_batches(self.classifier, images)
        if seen.ndim == 2 and seen.shape[1] > 1:
            seen = seen.argmax(axis=1)
        if seen.size != len(images):
            raise UsageError(
                f"the classifier gave {seen.shape} for {len(images)} images", "it gives a class, or a score a class"
            )
        return np.asarray(seen.reshape(-1, 1) == wanted[:, None], dtype=np.float64)

    def scale(self, metric: Metric) -> float:
        """The typical distance within the reference's features."""
        if metric.place not in self._scales:
            own = self.own(metric)
            self._scales[metric.place] = 0.0 if own is None else typical(own)
        return self._scales[metric.place]

    def sizes(self, metric: Metric, n: int) -> tuple[int, int]:
        """How many of n samples, and of the reference's images, `evaluate` compares."""
        most = metric.most or max(n, len(self))
        m = min(len(self), most)
        if not metric.matched:
            return min(n, most), m
        return min(n, m // 2), min(n, m // 2)

    def null(self, metric: Metric, n: int, m: int, splits: int = SPLITS) -> Null:
        """The metric between real images and other real images, as it would be for n and m of them.

        Halves of the reference are compared, `splits` times. For a matched metric they are of n and m images; for
        others the mean and the standard deviation are multiplied by (1/n + 1/m) / (1/h + 1/h), h being the half's size.
        """
        own = self.own(metric)
        if own is None or splits < 2:
            return Null(None, None)
        if metric.null is not None:
            return Null(*metric.null(own, n))
        used = len(own) if metric.most is None else min(len(own), metric.most)
        half = n if metric.matched else used // 2
        key = (metric.token, half, used, splits)
        if key not in self._nulls:
            self._nulls[key] = self._split(metric, own, half, used, splits)
        found = self._nulls[key]
        if metric.matched or found.mean is None or found.sd is None:
            return found
        ratio = (1 / n + 1 / m) * half / 2
        return Null(found.mean * ratio, found.sd * ratio)

    def _split(self, metric: Metric, own: NDArray[Any], half: int, used: int, splits: int) -> Null:
        random = np.random.default_rng(0)
        pool = Pool(own[chosen(len(own))[:used]], self.scale(metric))
        a, b = np.zeros((2, min(splits, metric.rounds or splits), used), dtype=bool)
        for row in range(len(a)):
            order = random.permutation(used)
            a[row, order[:half]] = b[row, order[half : 2 * half]] = True
        try:
            metric.require(half, half)
            values = metric.with_engine(pool)(a, b)
        except UsageError:  # half the reference is too small for it
            return Null(None, None)
        sd = float(values.std(ddof=1))
        return Null(float(values.mean()), sd if sd > 1e-12 * abs(values).max() else 0.0)


def chosen(count: int) -> NDArray[np.intp]:
    """The order in which images are taken where not all are used: a random one, always the same."""
    return np.random.default_rng(1).permutation(count)


def halves(random: np.random.Generator, start: int, count: int, total: int, times: int) -> Masks:
    """`times` random halves of `count` points from `start` on: masks (times, total). Odd counts are rounded in turn."""
    masks = np.zeros((times, total), dtype=bool)
    for row in range(times):
        size = (count + row % 2) // 2
        masks[row, start + random.permutation(count)[:size]] = True
    return masks


def _pooled(images: NDArray[Any], pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels averaged over cells; what is no picture stays as it is."""
    if images.ndim not in (3, 4):
        return pixels
    grid = default_grid(images.shape[1:])
    return np.concatenate([pooled(images[i : i + 1024], grid) for i in range(0, len(images), 1024)])


def _labels(labels: ArrayLike, n: int, whose: str) -> NDArray[np.int64]:
    given = np.asarray(labels)
    if given.shape != (n,) or given.dtype.kind not in "iu":
        raise UsageError(
            f"the labels of {whose} are {given.dtype} {given.shape}, not {n} whole numbers", "give one class an image"
        )
    return given.astype(np.int64)
