"""Metrics: functions (samples, reference) → one number, the distance of two sets of images."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from dtool.errors import UsageError
from dtool.metrics.pool import Masks, Pool
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.plugins.isolation import Origin, guard_code
from dtool.util.arrays import Array
from dtool.util.options import build_options_model, check_options, format_token

Features = Literal["pixels", "pooled", "network", "agreement"]
Engine = Callable[[Masks, Masks], Array]
Extract = Callable[..., Array]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A registered metric with its options bound. Calling it compares two sets of features, (n, d) and (m, d).

    name, title: as it is written and as it is shown. better: which way is better, "lower" or "higher". unbiased:
    whether its mean is the same for all n and m. headline: whether it is the one to look at first. features: what
    `evaluate` makes of images: "pixels", as they are; "pooled", averaged over cells; "network", a network's features;
    "agreement", whether a classifier sees the class that was asked for. minimum: fewest samples.

    most: the most rows per side that `evaluate` uses, chosen at random. matched: `evaluate` takes as many samples as
    half the reference, since it is not known how the metric depends on n; if not, its mean and standard deviation fall
    as 1/n + 1/m where the two laws are one. permutation: whether `evaluate` gives a p-value. share: whether it is a
    share, of n. rounds: the most resamples. engine, spread: see `with_engine`. null, interval: in place of resampling,
    (reference, n) → mean and standard deviation, and (samples) → low and high. extract: images to features, if none of
    the above. stream: the figure of rows that do not fit into memory, see `dtool.metrics.evaluate_stream`.

    >>> energy = dtool.metrics.resolve_metric("energy")
    >>> energy(np.zeros((4, 2)), np.ones((4, 2))) > 0
    True
    """

    name: str
    title: str
    function: Callable[..., float]
    better: Literal["lower", "higher"]
    default_features: Features
    model: type[BaseModel] = field(repr=False)
    cite: str = ""
    unbiased: bool = False
    headline: bool = False
    minimum: int = 2
    most: int | None = None
    matched: bool = True
    permutation: bool = False
    share: bool = False
    rounds: int | None = None
    engine: Callable[..., Engine] | None = field(default=None, repr=False)
    spread: Callable[..., Engine] | None = field(default=None, repr=False)
    null: Callable[[Array, int], tuple[float, float]] | None = field(default=None, repr=False)
    interval: Callable[[Array], tuple[float, float]] | None = field(default=None, repr=False)
    extract: Extract | None = field(default=None, repr=False)
    stream: Callable[..., StreamedFigure] | None = field(default=None, repr=False)
    options: tuple[tuple[str, Any], ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, allowed in (("better", ("lower", "higher")), ("default_features", get_args(Features))):
            if getattr(self, name) not in allowed:
                argument = name.removeprefix("default_")
                raise UsageError(f"metric {self.name}: {argument} is {getattr(self, name)!r:.40}", f"one of {allowed}")
        if not isinstance(self.title, str) or not isinstance(self.minimum, int):
            raise UsageError(
                f"metric {self.name}: title must be text, and minimum a whole number", "correct @metric(…)"
            )

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.getdoc(self.function) or ""

    @property
    def token(self) -> str:
        """The metric as it is written on the command line."""
        return format_token(self.name, self.model, dict(self.options))

    @property
    def features(self) -> Features:
        """What the metric is computed on: its own choice, or that of the option `on`."""
        features: Features = dict(self.options).get("on", self.default_features)
        return features

    @property
    def feature_key(self) -> str:
        """The same for two metrics that are computed on the same features."""
        return self.features if self.extract is None else self.token

    @property
    def ready(self) -> bool:
        """Whether all its options have values."""
        return set(self.model.model_fields) <= set(dict(self.options))

    def bind(self, **options: Any) -> Metric:
        """The same metric with these options; raises UsageError for options that it does not have."""
        return replace(self, options=tuple(check_options(self.name, self.model, options).items()))

    @property
    def _own_options(self) -> dict[str, Any]:
        parameters = inspect.signature(self.function).parameters
        return {key: value for key, value in self.options if key in parameters}

    def __call__(self, samples: ArrayLike, reference: ArrayLike) -> float:
        """The metric of features (n, d) and (m, d), or of images, which are flattened.

        Raises UsageError for sets that do not match, that hold NaN or infinity, or that are too small.
        """
        x, y = check_rows(samples, "the samples"), check_rows(reference, "the reference")
        if x.shape[1] != y.shape[1]:
            raise UsageError(
                f"the samples have {x.shape[1]} features, the reference {y.shape[1]}",
                "compare with images of the same shape",
            )
        self.require(len(x), len(y))
        with self.guard():
            return float(self.function(_make_readonly(x), _make_readonly(y), **self._own_options))

    @property
    def foreign(self) -> bool:
        """Whether a package other than dtool registers it."""
        return self.origin is not None and not self.origin.is_builtin

    def guard(self) -> AbstractContextManager[None]:
        """Run a plugin's code: its errors become PluginError. See `dtool.plugins.isolation`."""
        return guard_code(self.origin, "cannot be computed")

    def require(self, n: int, m: int) -> None:
        """Raise UsageError if n samples, or m images of the reference, are too few."""
        for count, whose in ((n, "samples"), (m, "images of the reference")):
            if count < self.minimum:
                raise UsageError(
                    f"{self.name} needs {self.minimum} {whose} or more, and has {count}", "give more, or leave it out"
                )

    def evaluate_pair(self, pair: RowPair) -> StreamedFigure:
        """The figure of rows that are read block by block; raises UsageError for a metric that needs all at once."""
        if self.stream is None:
            raise UsageError(f"{self.name} needs all images at once", "leave it out, or use dtool.metrics.evaluate")
        return self.stream(pair, **self._own_options)

    def with_engine(self, pool: Pool, spread: bool = False) -> Engine:
        """The metric on subsets of a pool: a function of masks (R, N) and (R, N) or (1, N), which gives (R,) values.

        spread: one that may leave out corrections of the mean, for how much the values vary.
        """
        make_engine = (self.spread or self.engine) if spread else self.engine
        if make_engine is not None:
            return make_engine(pool, **self._own_options)
        return make_loop_engine(pool, lambda x, y: self.function(x, y, **self._own_options))


def make_loop_engine(pool: Pool, function: Callable[[Array, Array], float]) -> Engine:
    """The engine that calls `function` once for each pair of masks."""

    def run(a: Masks, b: Masks) -> Array:
        pairs = zip(*np.broadcast_arrays(a, b), strict=True)
        return np.array([float(function(pool.points[one], pool.points[other])) for one, other in pairs])

    return run


def metric(
    name: str, title: str, *, better: Literal["lower", "higher"] = "lower", features: Features = "pixels", **more: Any
) -> Callable[[Callable[..., float]], Metric]:
    """Make a metric out of `(samples, reference, *, …) -> float`; its keyword-only parameters are options.

    The function gets float64 features (n, d) and (m, d), finite, at least `minimum` of each. For `more`, see `Metric`.

    >>> @dtool.metric("spread", "ratio of variances", better="higher")
    ... def spread(samples, reference):
    ...     return samples.var() / reference.var()
    >>> spread([[0.0], [4.0]], [[0.0], [2.0]])
    4.0
    """

    def wrap(function: Callable[..., float]) -> Metric:
        shared = () if features == "agreement" or "extract" in more else (_make_common_options(features),)
        model = build_options_model(function, *shared)
        defaults = tuple((k, f.default) for k, f in model.model_fields.items() if not f.is_required())
        return Metric(
            name=name,
            title=title,
            function=function,
            better=better,
            default_features=features,
            model=model,
            options=defaults,
            **more,
        )

    return wrap


def _make_common_options(features: Features) -> Callable[..., None]:
    """The options that every metric has."""

    def everywhere(
        *,
        on: Annotated[
            Literal["pixels", "pooled", "network"],
            Field(description="what is compared: pixels, their averages over cells, or a network's features"),
        ] = features,  # type: ignore[assignment]
    ) -> None:
        del on

    return everywhere


def _make_readonly(points: Array) -> Array:
    """A read-only view of the same numbers."""
    view = points.view()
    view.setflags(write=False)
    return view


def check_rows(values: ArrayLike, whose: str) -> Array:
    """`values` as float64 (n, d). Raises UsageError for an empty array, and for NaN or infinity."""
    return flatten_rows(values, whose).astype(np.float64, copy=False)


def flatten_rows(values: ArrayLike, whose: str) -> NDArray[Any]:
    """`values` as (n, d), of their own dtype, and if possible not copied. Errors as for `check_rows`."""
    array = np.asarray(values)
    if array.ndim == 0 or array.size == 0:
        raise UsageError(f"{whose} are empty", "give one or more")
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{whose} are of type {array.dtype}, not numbers", "give an array of real numbers")
    rows = array.reshape(len(array), -1)
    sums = rows.sum(axis=1, dtype=np.float64)
    if not np.isfinite(sums).all() and not np.isfinite(rows).all():
        bad = ~np.isfinite(rows).all(axis=1)
        raise UsageError(
            f"{bad.sum()} of {whose} hold NaN or infinity, the first at {int(np.argmax(bad))}",
            "look at where they come from: no metric is defined there",
        )
    return rows
