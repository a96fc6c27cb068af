"""The results of the two likelihoods: figures in bits per dimension, with their standard errors over images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, nan, sqrt
from typing import Any

import numpy as np

from dtool.likelihood.chain import Variance
from dtool.plan.compiled_plan import Plan
from dtool.util.arrays import Array


def mean_and_error(values: Array) -> tuple[float, float]:
    """(mean, its standard error) of independent values `(n,)`; the error of a single one is not known: NaN."""
    error = float(values.std(ddof=1)) / sqrt(values.size) if values.size > 1 else nan
    return float(values.mean()), error


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of a bound, in bits per dimension: mean over images and its standard error.

    `name`: L_T, L_0, or L_k for the step from the k+1-th level to the k-th, counted from the image. `time`: where the
    step begins on the schedule, `lam` the λ there. `rmse`: of the image predicted there, in the data's units; NaN for
    L_T, which depends on no prediction.
    """

    name: str
    time: float
    lam: float
    mean: float
    se: float
    rmse: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Bound:
    """An upper bound of -log2 p(x0) in bits per dimension: L_T + Σ L_k + L_0 (arXiv:2006.11239, eq. 5).

    `per_image` `(1 + steps, n)`: every term of every image, in the order of the chain: L_T, …, L_1, L_0. `mse`
    `(steps,)`: of the predicted images. `levels` None: the images are taken as continuous, and the bits are those of a
    density, which may be negative. `calls`: network calls per image. `seconds`: of wall time, None
    where several processes shared the work.
    """

    per_image: Array
    mse: Array
    time: Array
    lam: Array
    variance: Variance
    levels: int | None
    dimensions: int
    plan: Plan
    seed: int
    calls: int
    seconds: float | None

    @property
    def n(self) -> int:
        """How many images."""
        return int(self.per_image.shape[1])

    @property
    def steps(self) -> int:
        """Steps of the chain."""
        return int(self.mse.size)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms, from L_T to L_0."""
        steps = self.steps
        names = ["L_T", *(f"L_{steps - 1 - i}" for i in range(steps))]
        rmse = [nan, *(sqrt(float(mse)) for mse in self.mse)]
        terms = []
        for k, name in enumerate(names):
            mean, se = mean_and_error(self.per_image[k])
            i = max(k - 1, 0)  # L_T is where the chain begins
            time, lam = float(self.time[i]), float(self.lam[i])
            terms.append(Term(name=name, time=time, lam=lam, mean=mean, se=se, rmse=rmse[k]))
        return tuple(terms)

    @property
    def total(self) -> float:
        """Bits per dimension, the mean over images."""
        return mean_and_error(self.per_image.sum(axis=0))[0]

    @property
    def se(self) -> float:
        """The standard error of `total`."""
        return mean_and_error(self.per_image.sum(axis=0))[1]

    @property
    def nats(self) -> float:
        """The same in nats per dimension."""
        return self.total * log(2)

    @property
    def prior(self) -> float:
        """L_T: the bits of what is left of the image at the noisiest level."""
        return float(self.per_image[0].mean())

    @property
    def rate(self) -> float:
        """Σ L_k, k ≥ 1: the bits of the steps between two levels."""
        return float(self.per_image[1:-1].sum(axis=0).mean())

    @property
    def decoder(self) -> float:
        """L_0: the bits of the image itself, once the last level is known."""
        return float(self.per_image[-1].mean())

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it, but for the single images' terms."""
        names = ("name", "time", "lam", "mean", "se", "rmse")
        return {
            "method": "bound", "bits_per_dim": self.total, "se": self.se, "nats_per_dim": self.nats,
            "L_T": self.prior, "rate": self.rate, "L_0": self.decoder, "variance": self.variance, "steps": self.steps,
            "levels": self.levels, "dimensions": self.dimensions, "n": self.n, "seed": self.seed,
            "calls": self.calls, "seconds": self.seconds, "recipe": self.plan.recipe, "plan": self.plan.hash,
            "terms": [{name: getattr(term, name) for name in names} for term in self.terms],
            "images": self.per_image.sum(axis=0).tolist(),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """-log2 p(x0) in bits per dimension by the probability-flow ODE.

    `per_image` `(n,)`: of every image. `error`: of the solution, in bits per dimension: the largest difference
    from a coarser solve among `checked` of the images. `trace`: exact, or hutchinson with `probes`. `jacobian`:
    products (by automatic differentiation) or differences. `calls`: of F and its trace, per image.
    """

    per_image: Array
    error: float
    checked: int
    method: str
    trace: str
    probes: int
    jacobian: str
    tolerance: float
    levels: int | None
    dimensions: int
    seed: int
    calls: float
    seconds: float | None

    @property
    def n(self) -> int:
        """How many images."""
        return int(self.per_image.size)

    @property
    def total(self) -> float:
        """Bits per dimension, the mean over images."""
        return mean_and_error(self.per_image)[0]

    @property
    def se(self) -> float:
        """The standard error of `total`: of the images, the dequantisation and the probes together."""
        return mean_and_error(self.per_image)[1]

    @property
    def nats(self) -> float:
        """The same in nats per dimension."""
        return self.total * log(2)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "method": "ode", "bits_per_dim": self.total, "se": self.se, "nats_per_dim": self.nats,
            "solver": self.method, "error": self.error, "checked": self.checked, "trace": self.trace,
            "probes": self.probes, "jacobian": self.jacobian, "tolerance": self.tolerance, "levels": self.levels,
            "dimensions": self.dimensions, "n": self.n, "seed": self.seed, "calls": self.calls,
            "seconds": self.seconds, "images": np.asarray(self.per_image).tolist(),
        }  # fmt: skip
