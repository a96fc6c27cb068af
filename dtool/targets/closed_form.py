"""What a closed-form target is: a law of data, its exact network, and exact answers to what samplers get wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.measure.half_sampling import half_sampling_std
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.plan.parametrization import parse_sigma_data
from dtool.plan.point import CLEAN, Point
from dtool.plan.prediction import output_map, scale_input
from dtool.run.numpy_backend import FunctionNetwork
from dtool.samplers.rule import Prediction
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.targets.wasserstein import Distance
from dtool.util.arrays import Array

_FLOOR_DRAWS = 8  # exact draws that `Distance.floor` is the mean of
_HALVES = 12  # of the samples, for `Distance.sd`
_CHUNK_SIZE = 1024  # how many images are computed at a time


class Target(ABC):
    """A law of data in closed form. At a noise level x = α·x0 + σ·ε, x0 from the law and ε standard Gaussian.

    `shape` is that of one sample, `token` the name with options that `dtool.targets.target` takes. With `classes`,
    `label` names a part of the law; `classes` itself, or None, is the whole. Everything is computed in float64,
    whatever the dtype of the input. `has_exact_map`: whether `exact_map` is known.

    >>> law = dtool.targets.target("gaussian:d=2,var=0.25")
    >>> x0 = dtool.sample(law.network(), "heun", steps=20, n=200).x0
    >>> law.w2(x0).value < 0.1
    True
    """

    token: str = ""
    classes: int = 0
    class_names: tuple[str, ...] = ()
    data_range: tuple[float, float] = (-1.0, 1.0)
    has_exact_map: bool = False

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.size = int(np.prod(shape))
        self._floors: dict[int, tuple[float, float]] = {}

    def __repr__(self) -> str:
        return f"target({self.token!r})"

    @property
    @abstractmethod
    def mean(self) -> Array:
        """E[x0], `(d,)`: a sample flattened."""

    @property
    @abstractmethod
    def covariance(self) -> Array:
        """The covariance of x0, `(d, d)`."""

    @abstractmethod
    def _predict(self, x: Array, alpha: Array, sigma: Array, label: NDArray[np.int64] | None) -> tuple[Array, Array]:
        """(E[x0 | x], E[ε | x]) for x `(B, d)` at levels alpha, sigma `(B,)`, σ ≥ 0."""

    @abstractmethod
    def _draw(self, random: np.random.Generator, n: int, label: NDArray[np.int64] | None) -> Array:
        """`n` exact samples, `(n, d)`."""

    @abstractmethod
    def _w2(self, samples: Array) -> tuple[float, bool, str]:
        """(value, exact, how) of `Distance` for samples `(n, d)`."""

    @abstractmethod
    def _log_density(self, x: Array, at: Point, label: NDArray[np.int64] | None) -> Array:
        """The logarithm of the density at the level `at`, `(B,)`, for x `(B, d)`."""

    @abstractmethod
    def _transport(self, x: Array, start: Point, to: Point) -> Array:
        """Where the probability-flow ODE takes x `(B, d)`; called if `has_exact_map`."""

    def x0(self, x: ArrayLike, at: Point, label: ArrayLike | None = None) -> Array:
        """E[x0 | x] for x `(B, *shape)` at a level: the output of the optimal x0 network."""
        return self._predict_at(x, at, label)[0]

    def eps(self, x: ArrayLike, at: Point, label: ArrayLike | None = None) -> Array:
        """E[ε | x] = -σ·∇log p(x) for x `(B, *shape)` at a level (arXiv:2011.13456, eq. 3); 0 at σ = 0."""
        return self._predict_at(x, at, label)[1]

    def predict(self, x: Array, alpha: Array, sigma: Array, label: Any, prediction: Prediction) -> Array:
        """The optimal network's output for x `(B, *shape)`, each at its own level alpha, sigma `(B,)`.

        Of EDM's preconditioning x is what the network is given: c_in·x.
        """
        flat = np.asarray(x, dtype=np.float64).reshape(len(x), self.size)
        if parse_sigma_data(prediction) is not None:
            one = np.ones_like(alpha)
            flat = flat / scale_input(prediction, alpha, sigma, one)[:, None]
            c_skip, c_out = (each[:, None] for each in output_map(prediction, alpha, sigma, one))
            image, _ = self._predict(flat, alpha, sigma, self._check_labels(label, len(x)))
            return np.asarray((image - c_skip * flat) / c_out).reshape(np.shape(x))
        image, noise = self._predict(flat, alpha, sigma, self._check_labels(label, len(x)))
        if prediction == "v":
            output = alpha[:, None] * noise - sigma[:, None] * image
        else:
            output = {"eps": noise, "x0": image}.get(prediction, noise - image)
        return np.asarray(output).reshape(np.shape(x))

    def network(self, schedule: str | Schedule = "linear", prediction: Prediction | None = None) -> Network:
        """The optimal network of this law as if trained under `schedule`, on the numpy backend, unclipped.

        prediction: default eps; where the last level has no signal, about which eps says nothing, v, or "flow" for a
        schedule in flow coordinates.
        """
        levels = get_scheduler(schedule) if isinstance(schedule, str) else schedule
        silent = "flow" if levels.coordinates == "flow" else "v"
        predicts: Prediction = prediction or ("eps" if levels.alpha[-1] > 0 else silent)
        spec = NetworkSpec(
            shape=self.shape, **describe_schedule(levels), prediction=predicts, classes=self.classes,
            class_names=self.class_names, data_range=self.data_range, guidance=1.0, clip=False,
        )  # fmt: skip
        network = FunctionNetwork(OptimalNetwork(self, levels, predicts), spec)
        network.is_builtin = True
        return network

    def sample(self, n: int, seed: int = 0, labels: int | Sequence[int] | None = None) -> Array:
        """`n` exact samples of the law, `(n, *shape)` float64; labels: a class for all, or one each (None: the law)."""
        if n < 1:
            raise UsageError(f"n={n} samples cannot be drawn", "ask for 1 or more")
        return self._draw(np.random.default_rng(seed), n, self._check_labels(labels, n)).reshape(n, *self.shape)

    def log_density(self, x: ArrayLike, at: Point = CLEAN, label: ArrayLike | None = None) -> Array:
        """log p(x) in nats for x `(B, *shape)` at a level, by default the law of the data; `(B,)`.

        Raises UsageError where there is no density: a law on points or on a surface has one only for σ > 0.
        """
        flat = self._flatten(x)
        labels = self._check_labels(label, len(flat))
        parts = [
            self._log_density(flat[i : i + _CHUNK_SIZE], at, None if labels is None else labels[i : i + _CHUNK_SIZE])
            for i in range(0, len(flat), _CHUNK_SIZE)
        ]
        return np.concatenate(parts)

    def exact_map(self, x: ArrayLike, start: Schedule | Point, to: Point = CLEAN) -> Array:
        """Where the probability-flow ODE takes x `(B, *shape)` from `start` (of a schedule, its last level) to `to`.

        Raises UsageError unless `has_exact_map`.
        """
        if isinstance(start, Schedule):
            start = Point(float(start.alpha[-1]), float(start.sigma[-1]))
        if not self.has_exact_map:
            raise UsageError(
                f"the probability-flow ODE of {self.token} has no closed form",
                "use gaussian, two-diracs, sphere or gmm:d=1, or dtool.compare.reference_solution",
            )
        flat = self._flatten(x)
        return self._transport(flat, start, to).reshape(-1, *self.shape)

    def w2(self, samples: ArrayLike) -> Distance:
        """The 2-Wasserstein distance of samples `(n, *shape)` to the law, or the best bound of it that is known."""
        flat = self._flatten(samples)
        value, exact, how = self._w2(flat)
        floor, floor_sd = self._estimate_floor(len(flat))
        sd = half_sampling_std(lambda part: self._w2(part)[0], flat, _HALVES)
        return Distance(value=value, exact=exact, how=how, floor=floor, floor_sd=floor_sd, sd=sd)

    def _estimate_floor(self, n: int) -> tuple[float, float]:
        """Mean and standard deviation of W2 over exact draws of n points."""
        if n not in self._floors:
            draws = [self._w2(self._draw(np.random.default_rng(s), n, None))[0] for s in range(_FLOOR_DRAWS)]
            self._floors[n] = float(np.mean(draws)), float(np.std(draws, ddof=1))
        return self._floors[n]

    def _predict_at(self, x: ArrayLike, at: Point, label: ArrayLike | None) -> tuple[Array, Array]:
        flat = self._flatten(x)
        level = np.full(len(flat), at.alpha), np.full(len(flat), at.sigma)
        image, noise = self._predict(flat, *level, self._check_labels(label, len(flat)))
        return image.reshape(-1, *self.shape), noise.reshape(-1, *self.shape)

    def _flatten(self, x: ArrayLike) -> Array:
        values = np.asarray(x, dtype=np.float64)
        if values.shape[1:] != self.shape or len(values) == 0:
            raise UsageError(f"{self.token}: samples of shape {values.shape}", f"give (n, *{self.shape})")
        return values.reshape(len(values), self.size)

    def _check_labels(self, label: Any, count: int) -> NDArray[np.int64] | None:
        if label is None:
            return None
        values = np.broadcast_to(np.asarray(label, dtype=np.int64), (count,))
        if (values < 0).any() or (values > self.classes).any():
            raise UsageError(f"{self.token}: classes are 0 … {self.classes}", f"{self.classes} means no class")
        return values


class OptimalNetwork:
    """The network `F(x, t[, label])` of a target under a schedule, on numpy arrays or torch tensors."""

    def __init__(self, target: Target, schedule: Schedule, prediction: Prediction) -> None:
        self.target, self.schedule, self.prediction = target, schedule, prediction

    def __call__(self, x: Any, t: Any, label: Any = None) -> Any:
        """F(x, t[, label]) for x `(B, *shape)`, t `(B,)`; in the dtype and kind of `x`."""
        values, times = _to_numpy(x), np.clip(_to_numpy(t).astype(np.float64), 0, self.schedule.T - 1)
        alpha, sigma = self.schedule.level(times)
        output = self.target.predict(values, alpha, sigma, None if label is None else _to_numpy(label), self.prediction)
        return x.new_tensor(output) if hasattr(x, "new_tensor") else output.astype(values.dtype, copy=False)


def _to_numpy(values: Any) -> NDArray[Any]:
    """An array of any backend as numpy's."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
