"""The closed-form targets by name: `target("gmm:d=2,k=8")`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from math import pi
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from dtool.errors import UsageError, did_you_mean
from dtool.targets.closed_form import Target
from dtool.targets.mixture import Gaussian, GaussianMixture, TwoDiracs
from dtool.targets.sphere import Sphere
from dtool.util.arrays import Array
from dtool.util.options import build_options_model, check_options, format_token, parse_token

MAX_DIMENSION = 1024
Dimension = Annotated[int, Field(ge=1, le=MAX_DIMENSION, description="dimension: one sample is of shape (d,)")]


@dataclass(frozen=True)
class TargetMaker:
    """A closed form by name: the function that makes it, its options, and a summary."""

    name: str
    make: Callable[..., Target]
    model: type[BaseModel] = field(repr=False)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.make.__doc__ or "").strip().partition("\n")[0]

    def __call__(self, **options: Any) -> Target:
        """The target with these options; raises UsageError for options that it does not have."""
        values = check_options(self.name, self.model, options)
        target = self.make(**values)
        target.token = format_token(self.name, self.model, values)
        return target


_MAKERS: dict[str, TargetMaker] = {}


def _closed_form(name: str) -> Callable[[Callable[..., Target]], TargetMaker]:
    def wrap(function: Callable[..., Target]) -> TargetMaker:
        _MAKERS[name] = TargetMaker(name, function, build_options_model(function))
        return _MAKERS[name]

    return wrap


def list_targets() -> tuple[TargetMaker, ...]:
    """All closed-form targets, for listings.

    >>> [maker.name for maker in dtool.targets.list_targets()]
    ['gaussian', 'gmm', 'two-diracs', 'sphere', 'digits-gmm']
    """
    return tuple(_MAKERS.values())


def is_target(word: str) -> bool:
    """Whether `word`, without its options, names a closed-form target.

    >>> dtool.targets.is_target("gmm:d=2"), dtool.targets.is_target("model.pt")
    (True, False)
    """
    return word.partition(":")[0] in _MAKERS


def target(token: str) -> Target:
    """The closed form of `NAME[:key=value,…]`, e.g. "gaussian:d=16,var=0.25".

    Raises UsageError for an unknown name, an unknown option, or a value out of range.

    >>> law = dtool.targets.target("gmm:d=2,k=3")
    >>> law.shape, law.sample(5, seed=0).shape
    ((2,), (5, 2))
    """
    name, options = parse_token(token)
    if name not in _MAKERS:
        raise UsageError(f"there is no target {name!r}", did_you_mean(name, _MAKERS))
    return _MAKERS[name](**options)


@_closed_form("gaussian")
def gaussian(
    *,
    d: Dimension = 1,
    mean: Annotated[float, Field(description="of every coordinate")] = 0.0,
    var: Annotated[float, Field(gt=0, description="variance along the widest axis")] = 0.25,
    condition: Annotated[
        float, Field(ge=1, le=1e12, description="widest variance over narrowest; the axes lie askew")
    ] = 1.0,
) -> Target:
    """A Gaussian: exact ODE, exact density, every sampler a product of scalars along each axis."""
    if d == 1 and condition > 1:
        raise UsageError("gaussian: on a line there is only one variance", "leave out condition, or give d=2 or more")
    axes = np.eye(d) if condition == 1 else np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]
    variances = var * np.geomspace(1, 1 / condition, d) if d > 1 else np.full(1, var)
    return Gaussian((d,), mean, variances, axes)


@_closed_form("gmm")
def gmm(
    *,
    d: Dimension = 2,
    k: Annotated[int, Field(ge=1, le=1000, description="components, of equal weight")] = 8,
    std: Annotated[float, Field(gt=0, description="standard deviation of each")] = 0.08,
    radius: Annotated[float, Field(ge=0, description="how far from the middle they lie")] = 0.8,
    seed: Annotated[int, Field(ge=0, description="where they lie, from d=3 on")] = 0,
) -> Target:
    """A mixture of Gaussians: evenly on a line, on a circle, or on a sphere at random; on a line with exact ODE."""
    return GaussianMixture((d,), np.ones(k), radius * _place_means(d, k, seed), np.full(k, std**2))


def _place_means(d: int, k: int, seed: int) -> Array:
    """k places `(k, d)`: evenly from -1 to 1, evenly on the circle, or at random on the unit sphere."""
    if d == 1:
        return np.linspace(-1, 1, k)[:, None] if k > 1 else np.zeros((1, 1))
    if d == 2:
        angle = 2 * pi * np.arange(k) / k
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    z = np.random.default_rng(seed).standard_normal((k, d))
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))


@_closed_form("two-diracs")
def two_diracs(
    *,
    d: Dimension = 1,
    at: Annotated[float, Field(gt=0, description="the points have all coordinates ±at")] = 0.5,
    share: Annotated[float, Field(gt=0, lt=1, description="weight of the positive one")] = 0.5,
) -> Target:
    """Two points: every sample must become one of them; exact ODE, and the steepest network there is."""
    return TwoDiracs((d,), at, share)


@_closed_form("sphere")
def sphere(
    *,
    d: Annotated[int, Field(ge=2, le=MAX_DIMENSION, description="dimension: one sample is of shape (d,)")] = 3,
    radius: Annotated[float, Field(gt=0, description="of the sphere")] = 1.0,
) -> Target:
    """A sphere's surface: data on a manifold; the ODE's end is known exactly."""
    return Sphere((d,), radius)


@_closed_form("digits-gmm")
def digits_gmm(
    *, conditional: Annotated[bool, Field(description="whether the network gets the digit")] = True
) -> Target:
    """Handwritten digits of 8×8 as a mixture of 30 Gaussians, three per digit: images with an exact network."""
    with as_file(files("dtool.targets") / "digits_gmm.npz") as path, np.load(path) as arrays:
        parts = {name: arrays[name].astype(np.float64) for name in ("weights", "means", "rest", "axes", "spread")}
        of_class = arrays["of_class"].tolist()
    parts["axes"] = np.stack([np.linalg.qr(rows.T)[0].T for rows in parts["axes"]])  # they are stored with few digits
    mixture = GaussianMixture((1, 8, 8), **parts, of_class=of_class if conditional else None)
    mixture.class_names = tuple("0123456789") if conditional else ()
    return mixture
