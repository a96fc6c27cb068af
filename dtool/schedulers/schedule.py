"""What a noise schedule is: t → (α, σ), as a float64 table of T levels and the levels between them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Annotated, get_args

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.level_tables import MAX_STEPS, check_table, read_numbers, require_rising
from dtool.schedulers.levels import (
    Coordinates,
    alpha_sigma_from_lam,
    compute_alpha_bar,
    compute_betas,
    compute_lam,
    compute_log_snr,
)
from dtool.util.arrays import Array

UNNAMED = "custom"  # what a schedule is called that was made of numbers
TrainingSteps = Annotated[int, Field(ge=1, le=MAX_STEPS, description="training steps")]
MaxBeta = Annotated[float, Field(gt=0, le=1, description="cap on β; it acts on the last step only")]


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule `x_t = α_t x0 + σ_t ε`.

    `alpha`, `sigma`: float64 `(T,)`, index 0 the least noise, T-1 the most. `coordinates` says how large x is:
    "vp" α² + σ² = 1, "ve" α = 1, "flow" α + σ = 1, "sub-vp" σ = 1 - α². Between two indices λ = log(α/σ) is linear
    in t (in the last interval of a zero-terminal-SNR schedule, where λ ends at -∞, the angle atan2(σ, α) is); in flow
    coordinates σ is. `portable`: whether `token` alone gives the same schedule wherever dtool is; not so for what is
    read from a file, made by another package or given as numbers. `beta_scale`: by what its β were multiplied, so that
    T steps destroy as much as 1000 do. `token_hash`: the `hash` of the tables that have this token; with others put in
    their place (`dataclasses.replace`) a schedule has no name any more.

    >>> schedule = dtool.Schedule(np.array([0.8, 0.6]), np.array([0.6, 0.8]))
    >>> schedule.T, schedule.lam.round(3).tolist()
    (2, [0.288, -0.288])
    """

    alpha: Array
    sigma: Array
    _: KW_ONLY
    token: str = ""
    cite: str = ""
    coordinates: Coordinates = "vp"
    portable: bool = False
    beta_scale: float = 1.0
    token_hash: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("alpha", "sigma"):
            table = check_table(name, getattr(self, name))
            table.setflags(write=False)
            object.__setattr__(self, name, table)
        if self.token_hash and self.token_hash != self.hash:
            unknown = {"token": "", "cite": "", "portable": False, "beta_scale": 1.0, "token_hash": ""}
            for name, value in unknown.items():
                object.__setattr__(self, name, value)
        require_rising(self.alpha, self.sigma)
        own_alpha, own_sigma = alpha_sigma_from_lam(self.lam, self.coordinates)
        if np.abs(own_alpha - self.alpha).max() > 1e-9 or np.abs(own_sigma / self.sigma - 1).max() > 1e-9:
            raise UsageError(f"the schedule's levels are not in {self.coordinates} coordinates", "see Schedule")

    @property
    def T(self) -> int:  # noqa: N802 - the field's name for it
        """The number of training steps."""
        return int(self.alpha.size)

    @cached_property
    def lam(self) -> Array:
        """λ = log(α/σ), half the log signal-to-noise ratio; `(T,)`, falling; -∞ where there is no signal."""
        return compute_lam(self.alpha, self.sigma)

    @property
    def log_snr(self) -> Array:
        """The log signal-to-noise ratio 2λ, as most papers define it; `(T,)`, falling."""
        return compute_log_snr(self.alpha, self.sigma)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of both tables: two schedules are the same if their levels are."""
        return hashlib.sha256(self.alpha.tobytes() + self.sigma.tobytes()).hexdigest()[:16]

    @property
    def alpha_bar(self) -> Array:
        """ᾱ = α²/(α²+σ²), the share of the image in the variance, `(T,)`: α² in variance-preserving coordinates."""
        return compute_alpha_bar(self.alpha, self.sigma)

    @property
    def betas(self) -> Array:
        """β_t = 1 - ᾱ_t/ᾱ_{t-1}, `(T,)`: the form in which papers print a discrete schedule."""
        return compute_betas(self.alpha_bar)

    def level(self, t: ArrayLike) -> tuple[Array, Array]:
        """(α, σ) at the times `t` in [0, T-1], fractional ones too; exactly the table's entries at whole ones."""
        time = np.asarray(t, dtype=np.float64)
        if not ((time >= 0) & (time <= self.T - 1)).all():
            worst = time.flat[np.argmax(abs(time - (self.T - 1) / 2))]
            raise UsageError(
                f"time {worst:g} is outside this schedule's 0 … {self.T - 1}", "times count training steps from 0"
            )
        low = np.floor(time).astype(int)
        high = np.minimum(low + 1, self.T - 1)
        w = time - low
        if self.coordinates == "flow":
            sigma = (1 - w) * self.sigma[low] + w * self.sigma[high]
            alpha = 1 - sigma
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                lam = (1 - w) * self.lam[low] + w * self.lam[high]
                angle = (1 - w) * self._angle[low] + w * self._angle[high]
                lam = np.where(np.isneginf(self.lam[high]), np.log(np.cos(angle)) - np.log(np.sin(angle)), lam)
            alpha, sigma = alpha_sigma_from_lam(lam, self.coordinates)
        return np.where(w == 0, self.alpha[low], alpha), np.where(w == 0, self.sigma[low], sigma)

    def time(self, lam: ArrayLike) -> Array:
        """The fractional time at which the schedule has log(α/σ) = `lam`; clamped to 0 … T-1. Inverse of `level`."""
        target = np.asarray(lam, dtype=np.float64)
        times = np.arange(self.T, dtype=np.float64)
        if self.coordinates == "flow":
            return np.asarray(np.interp(alpha_sigma_from_lam(target, "flow")[1], self.sigma, times))
        if self.T == 1:
            return np.zeros_like(target)
        finite = np.isfinite(self.lam)
        by_lam = np.interp(-target, -self.lam[finite], times[finite])
        if finite.all():
            return np.asarray(by_lam)
        angle = np.arctan2(*alpha_sigma_from_lam(target)[::-1])
        return np.where(target < self.lam[-2], np.interp(angle, self._angle[-2:], times[-2:]), by_lam)

    def cut(self, last: int) -> Schedule:
        """The levels 0 … last alone, without a name; raises UsageError for a time that it does not have.

        >>> dtool.get_scheduler("linear").cut(743).T
        744
        """
        if not 0 <= last < self.T:
            raise UsageError(f"time {last} is outside this schedule's 0 … {self.T - 1}", "a start is one of its times")
        return Schedule(self.alpha[: last + 1], self.sigma[: last + 1], coordinates=self.coordinates)

    @cached_property
    def _angle(self) -> Array:
        return np.asarray(np.arctan2(self.sigma, self.alpha))


def from_lam(lam: ArrayLike, coordinates: Coordinates = "vp") -> Schedule:
    """The schedule with these λ = log(α/σ), `(T,)`, falling; log-SNR as most papers define it is 2λ.

    >>> dtool.from_lam([2.0, 0.0, -2.0]).alpha.round(3).tolist()
    [0.991, 0.707, 0.134]
    """
    if coordinates not in get_args(Coordinates):
        raise UsageError(f"there are no coordinates {coordinates!r}", f"use {', '.join(get_args(Coordinates))}")
    table = read_numbers("lam is", lam, "give log(alpha/sigma), one number per step")
    alpha, sigma = alpha_sigma_from_lam(table, coordinates)
    return Schedule(alpha, sigma, coordinates=coordinates)


def from_betas(betas: ArrayLike) -> Schedule:
    """The schedule of a discrete chain: ᾱ_t = Π (1-β_i), α = √ᾱ, σ = √(1-ᾱ) (arXiv:2006.11239, eq. 4).

    Sums logarithms, so that 1-ᾱ keeps its digits where β is small. Raises UsageError unless every β is in (0, 1].

    >>> (dtool.from_betas([0.1, 0.5]).alpha**2).round(3).tolist()
    [0.9, 0.45]
    """
    beta = read_numbers("the betas are", betas, "give one per step, each in (0, 1]")
    if beta.ndim != 1 or beta.size == 0 or not np.isfinite(beta).all() or (beta <= 0).any() or (beta > 1).any():
        bad = beta[~((beta > 0) & (beta <= 1))] if beta.ndim == 1 else beta
        if not beta.size:
            raise UsageError("there are no betas", "give one per step, each in (0, 1]")
        if beta.ndim != 1:
            raise UsageError(f"the betas have the shape {beta.shape}", "give (T,): one number per step")
        hint = "use larger betas" if bad.flat[0] <= 0 else "use more training steps T or smaller betas"
        if not np.isfinite(bad.flat[0]):
            hint = "look at the numbers that they were made from"
        raise UsageError(f"betas are numbers in (0, 1], and there is {bad.flat[0]:.4g}", hint)
    with np.errstate(divide="ignore"):
        log_alpha_bar = np.cumsum(np.log1p(-beta))
    return Schedule(np.exp(log_alpha_bar / 2), np.sqrt(-np.expm1(log_alpha_bar)))


def from_alpha_bar(alpha_bar: Callable[[Array], Array], T: int, max_beta: float) -> Schedule:  # noqa: N803
    """The discrete chain that follows ᾱ(u), u in [0, 1], with β_i = min(1 - ᾱ((i+1)/T)/ᾱ(i/T), max_beta).

    >>> schedule = dtool.from_alpha_bar(lambda u: 1 - u, T=4, max_beta=0.999)
    >>> (schedule.alpha**2).round(3).tolist()
    [0.75, 0.5, 0.25, 0.0]
    """
    values = alpha_bar(np.arange(T + 1) / T)
    return from_betas(np.minimum(1 - values[1:] / values[:-1], max_beta))
