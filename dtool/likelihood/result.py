"""What the two likelihoods give: figures in bits a dimension, with their standard errors over images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, nan, sqrt
from typing import Any

import numpy as np

from dtool.likelihood.chain import Variance
from dtool.plan.plan import Plan
from dtool.schedulers.schedule import Array


def mean_error(values: Array) -> tuple[float, float]:
    """(mean, its standard error) of independent values `(n,)`; the error of a single one is not known: NaN."""
    error = float(values.std(ddof=1)) / sqrt(values.size) if values.size > 1 else nan
    return float(values.mean()), error


@dataclass(frozen=True)
class Term:
    """One term of a bound, in bits a dimension: mean over images and its standard error.

    `name`: L_T, L_0, or L_k for the step from the k+1-th level to the k-th, counted from the image. `time`: where the
    step begins on the schedule, `lam` the λ there. `rmse`: of the image predicted there, in the data's units; NaN for
    L_T, which looks at no prediction.
    """

    name: str
    time: float
    lam: float
    mean: float
    se: float
    rmse: float


@dataclass(frozen=True, eq=False)
class Bound:
    """An upper bound of -log2 p(x0) in bits a dimension: L_T + Σ L_k + L_0 (arXiv:2006.11239, eq. 5).

    `each` `(1 + steps, n)`: every term of every image, in the order of the chain: L_T, …, L_1, L_0. `mse` `(steps,)`:
    of the predicted images. `levels` None: the images are taken as continuous, and the bits are those of a density,
    which may be negative. `calls`: network calls an image. `seconds`: of wall time.
    """

    each: Array
    mse: Array
    time: Array
    lam: Array
    variance: Variance
    levels: int | None
    dimensions: int
    plan: Plan
    seed: int
    calls: int
    seconds: float

    @property
    def n(self) -> int:
        """How many images."""
        return int(self.each.shape[1])

    @property
    def steps(self) -> int:
        """Steps of the chain."""
        return int(self.mse.size)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms, from L_T to L_0."""
        steps = self.steps
        found = [Term("L_T", float(self.time[0]), float(self.lam[0]), *mean_error(self.each[0]), nan)]
        for i in range(steps):
            figures = mean_error(self.each[i + 1])
            place = float(self.time[i]), float(self.lam[i])
            found.append(Term(f"L_{steps - 1 - i}", *place, *figures, sqrt(float(self.mse[i]))))
        return tuple(found)

    @property
    def total(self) -> float:
        """Bits a dimension, the mean over images."""
        return mean_error(self.each.sum(axis=0))[0]

    @property
    def se(self) -> float:
        """The standard error of `total`."""
        return mean_error(self.each.sum(axis=0))[1]

    @property
    def nats(self) -> float:
        """The same in nats a dimension."""
        return self.total * log(2)

    @property
    def prior(self) -> float:
        """L_T: what is left of the image in the noisiest level."""
        return float(self.each[0].mean())

    @property
    def rate(self) -> float:
        """Σ L_k, k ≥ 1: the bits of the steps between two levels."""
        return float(self.each[1:-1].sum(axis=0).mean())

    @property
    def decoder(self) -> float:
        """L_0: the bits of the image itself, once the last level is known."""
        return float(self.each[-1].mean())

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it, but for the single images' terms."""
        names = ("name", "time", "lam", "mean", "se", "rmse")
        return {
            "method": "bound", "bits_per_dim": self.total, "se": self.se, "nats_per_dim": self.nats,
            "L_T": self.prior, "rate": self.rate, "L_0": self.decoder, "variance": self.variance, "steps": self.steps,
            "levels": self.levels, "dimensions": self.dimensions, "n": self.n, "seed": self.seed,
            "calls": self.calls, "seconds": self.seconds, "recipe": self.plan.recipe, "plan": self.plan.hash,
            "terms": [{name: getattr(term, name) for name in names} for term in self.terms],
            "images": self.each.sum(axis=0).tolist(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Density:
    """-log2 p(x0) in bits a dimension by the probability-flow ODE.

    `each` `(n,)`: of every image. `error`: how far the solution is off, in bits a dimension: the largest difference
    from a coarser solve among `checked` of the images. `trace`: exact, or hutchinson with `probes`. `jacobian`:
    products (by automatic differentiation) or differences. `calls`: of F and its trace, an image.
    """

    each: Array
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
    seconds: float

    @property
    def n(self) -> int:
        """How many images."""
        return int(self.each.size)

    @property
    def total(self) -> float:
        """Bits a dimension, the mean over images."""
        return mean_error(self.each)[0]

    @property
    def se(self) -> float:
        """The standard error of `total`: of the images, the dequantisation and the probes together."""
        return mean_error(self.each)[1]

    @property
    def nats(self) -> float:
        """The same in nats a dimension."""
        return self.total * log(2)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "method": "ode", "bits_per_dim": self.total, "se": self.se, "nats_per_dim": self.nats,
            "solver": self.method, "error": self.error, "checked": self.checked, "trace": self.trace,
            "probes": self.probes, "jacobian": self.jacobian, "tolerance": self.tolerance, "levels": self.levels,
            "dimensions": self.dimensions, "n": self.n, "seed": self.seed, "calls": self.calls,
            "seconds": self.seconds, "images": np.asarray(self.each).tolist(),
        }  # fmt: skip
