"""What a noise schedule is: t → (α, σ), as a float64 table of T levels and the levels between them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from dtool.containment import names_file
from dtool.errors import PluginError, UsageError
from dtool.options import checked, options_of, written
from dtool.plugins.guard import ARITHMETIC, Origin, guarded

Array = NDArray[np.float64]
MILDER = "use less extreme options"
Coordinates = Literal["vp", "ve", "flow", "sub-vp"]
MOST_STEPS = 10**6  # of a schedule: a thousand times what is usual, and a table of 16 MB
UNNAMED = "custom"  # what a schedule is called that was made of numbers
TrainingSteps = Annotated[int, Field(ge=1, le=MOST_STEPS, description="training steps")]


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule `x_t = α_t x0 + σ_t ε`.

    `alpha`, `sigma`: float64 `(T,)`, index 0 the least noise, T-1 the most. `coordinates` says how large x is:
    "vp" α² + σ² = 1, "ve" α = 1, "flow" α + σ = 1, "sub-vp" σ = 1 - α². Between two indices λ = log(α/σ) is linear
    in t (in the last interval of a zero-terminal-SNR schedule, where λ ends at -∞, the angle atan2(σ, α) is); in flow
    coordinates σ is. `portable`: whether `token` alone gives the same schedule wherever dtool is; not so for what is
    read from a file, made by another package or given as numbers. `beta_scale`: by what its β were multiplied, so that
    T steps destroy as much as 1000 do.
    """

    alpha: Array
    sigma: Array
    token: str = ""
    cite: str = ""
    coordinates: Coordinates = "vp"
    portable: bool = False
    beta_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("alpha", "sigma"):
            table = _table(name, getattr(self, name))
            table.setflags(write=False)
            object.__setattr__(self, name, table)
        _require_rising(self.alpha, self.sigma)
        own_alpha, own_sigma = on_coordinates(self.lam, self.coordinates)
        if np.abs(own_alpha - self.alpha).max() > 1e-9 or np.abs(own_sigma / self.sigma - 1).max() > 1e-9:
            raise UsageError(f"the schedule's levels are not in {self.coordinates} coordinates", "see Schedule")

    @property
    def T(self) -> int:  # noqa: N802 - the field's name for it
        """The number of training steps."""
        return int(self.alpha.size)

    @cached_property
    def lam(self) -> Array:
        """λ = log(α/σ), half the log signal-to-noise ratio; `(T,)`, falling; -∞ where there is no signal."""
        with np.errstate(divide="ignore"):
            return np.log(self.alpha) - np.log(self.sigma)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of both tables: two schedules are the same if their levels are."""
        return hashlib.sha256(self.alpha.tobytes() + self.sigma.tobytes()).hexdigest()[:16]

    @property
    def alpha_bar(self) -> Array:
        """ᾱ = α²/(α²+σ²), the share of the image in the variance, `(T,)`: α² in variance-preserving coordinates."""
        return np.asarray(self.alpha**2 / (self.alpha**2 + self.sigma**2))

    @property
    def betas(self) -> Array:
        """β_t = 1 - ᾱ_t/ᾱ_{t-1}, `(T,)`: the form in which papers print a discrete schedule."""
        alpha_bar = np.concatenate([[1.0], self.alpha_bar])
        before = np.where(alpha_bar[:-1] == 0, 1.0, alpha_bar[:-1])  # α² is less than float64 can hold
        return np.asarray(1.0 - alpha_bar[1:] / before)

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
            alpha, sigma = on_coordinates(lam, self.coordinates)
        return np.where(w == 0, self.alpha[low], alpha), np.where(w == 0, self.sigma[low], sigma)

    def time(self, lam: ArrayLike) -> Array:
        """The fractional time at which the schedule has log(α/σ) = `lam`; clamped to 0 … T-1. Inverse of `level`."""
        wanted = np.asarray(lam, dtype=np.float64)
        times = np.arange(self.T, dtype=np.float64)
        if self.coordinates == "flow":
            return np.asarray(np.interp(on_coordinates(wanted, "flow")[1], self.sigma, times))
        if self.T == 1:
            return np.zeros_like(wanted)
        finite = np.isfinite(self.lam)
        found = np.interp(-wanted, -self.lam[finite], times[finite])
        if finite.all():
            return np.asarray(found)
        angle = np.arctan2(*on_coordinates(wanted)[::-1])
        return np.where(wanted < self.lam[-2], np.interp(angle, self._angle[-2:], times[-2:]), found)

    @cached_property
    def _angle(self) -> Array:
        return np.asarray(np.arctan2(self.sigma, self.alpha))


def _table(name: str, values: ArrayLike) -> Array:
    """Levels as float64 `(T,)`; raises UsageError for what is no table of finite numbers."""
    try:
        table = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"the schedule's {name} is no table of numbers ({error})", "give one a step") from error
    if table.ndim != 1 or table.size == 0:
        raise UsageError(f"the schedule's {name} is a table of shape {table.shape}", "give (T,): one number a step")
    if table.size > MOST_STEPS:
        raise UsageError(f"a schedule of {table.size} steps is too long", f"use at most {MOST_STEPS}")
    wrong = np.flatnonzero(~np.isfinite(table))
    if wrong.size and np.isnan(table[wrong[0]]):
        raise UsageError(
            f"the schedule's {name} is not a finite table: it is no number at step {wrong[0]}",
            "look at the numbers that it was made from",
        )
    if wrong.size:
        raise UsageError(
            f"the schedule's {name} is not a finite table: at step {wrong[0]} it is larger than float64 can hold",
            "let the noisy end have less noise",
        )
    return table


def _require_rising(alpha: Array, sigma: Array) -> None:
    """Raise UsageError unless there is noise everywhere, more at each step, and signal before the last: say where."""
    if alpha.shape != sigma.shape:
        raise UsageError(f"alpha has {alpha.size} levels and sigma {sigma.size}", "give one of each a step")
    if (alpha < 0).any() or (sigma < 0).any():
        raise UsageError("the schedule has levels below 0", "alpha and sigma are at least 0")
    if (sigma == 0).any():
        raise UsageError(
            f"sigma is 0 at step {np.argmax(sigma == 0)} of the schedule: no noise, or less than float64 can hold",
            "let the clean end have more noise: a smaller log(alpha/sigma)",
        )
    if (alpha[:-1] == 0).any():
        raise UsageError(
            f"alpha is 0 at step {np.argmax(alpha == 0)} of the schedule already: no signal, or less than float64 "
            "can hold, and more noise than that there is not",
            "let the noisy end have less noise: a larger log(alpha/sigma)",
        )
    with np.errstate(divide="ignore"):
        rises = np.diff(np.log(alpha) - np.log(sigma)) < 0
    if not rises.all():
        step = int(np.argmin(rises))
        raise UsageError(
            f"the noise level does not rise at every step of the schedule: from {step} to {step + 1} it does not",
            "list the levels from the least noise to the most, each of them different",
        )


def on_coordinates(lam: Array, coordinates: Coordinates = "vp") -> tuple[Array, Array]:
    """(α, σ) with log(α/σ) = λ in these coordinates, without cancellation at either end."""
    with np.errstate(over="ignore", invalid="ignore"):
        if coordinates == "vp":
            return 1 / np.sqrt(1 + np.exp(-2 * lam)), 1 / np.sqrt(1 + np.exp(2 * lam))
        if coordinates == "ve":
            return np.ones_like(lam), np.exp(-lam)
        if coordinates == "flow":
            return 1 / (1 + np.exp(-lam)), 1 / (1 + np.exp(lam))
        # sub-vp: α = σ·e^λ and σ = 1 - α², solved for each
        ratio, inverse = np.exp(lam), np.exp(-lam)
        return 2 / (inverse + np.sqrt(inverse**2 + 4)), 2 / (1 + np.sqrt(1 + 4 * ratio**2))


def from_lam(lam: ArrayLike, coordinates: Coordinates = "vp") -> Schedule:
    """The schedule with these λ = log(α/σ), `(T,)`, falling; log-SNR as most papers define it is 2λ."""
    if coordinates not in get_args(Coordinates):
        raise UsageError(f"there are no coordinates {coordinates!r}", f"use {', '.join(get_args(Coordinates))}")
    try:
        table = np.asarray(lam, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"lam is no table of numbers ({error})", "give log(alpha/sigma), one number a step") from error
    alpha, sigma = on_coordinates(table, coordinates)
    return Schedule(alpha, sigma, coordinates=coordinates)


def from_betas(betas: ArrayLike) -> Schedule:
    """The schedule of a discrete chain: ᾱ_t = Π (1-β_i), α = √ᾱ, σ = √(1-ᾱ) (arXiv:2006.11239, eq. 4).

    Sums logarithms, so that 1-ᾱ keeps its digits where β is small. Raises UsageError unless every β is in (0, 1].
    """
    try:
        beta = np.asarray(betas, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"the betas are no table of numbers ({error})", "give one a step, each in (0, 1]") from error
    if beta.ndim != 1 or beta.size == 0 or not np.isfinite(beta).all() or (beta <= 0).any() or (beta > 1).any():
        bad = beta[~((beta > 0) & (beta <= 1))] if beta.ndim == 1 else beta
        if not beta.size:
            raise UsageError("there are no betas", "give one a step, each in (0, 1]")
        if beta.ndim != 1:
            raise UsageError(f"the betas have the shape {beta.shape}", "give (T,): one number a step")
        hint = "use larger betas" if bad.flat[0] <= 0 else "use more training steps T or smaller betas"
        if not np.isfinite(bad.flat[0]):
            hint = "look at the numbers that they were made from"
        raise UsageError(f"betas are numbers in (0, 1], and there is {bad.flat[0]:.4g}", hint)
    with np.errstate(divide="ignore"):
        log_alpha_bar = np.cumsum(np.log1p(-beta))
    return Schedule(np.exp(log_alpha_bar / 2), np.sqrt(-np.expm1(log_alpha_bar)))


def from_alpha_bar(alpha_bar: Callable[[Array], Array], T: int, max_beta: float) -> Schedule:  # noqa: N803
    """The discrete chain that follows ᾱ(u), u in [0, 1], with β_i = min(1 - ᾱ((i+1)/T)/ᾱ(i/T), max_beta)."""
    values = alpha_bar(np.arange(T + 1) / T)
    return from_betas(np.minimum(1 - values[1:] / values[:-1], max_beta))


def transformed(
    plain: Schedule,
    *,
    shift: Annotated[float, Field(gt=0, description="multiplies σ/α at every level: 2 for twice the resolution")] = 1.0,
    zero_snr: Annotated[bool, Field(description="rescale so that the last level has no signal at all")] = False,
) -> Schedule:
    """What can be asked of any schedule; the shift comes first.

    `shift`: σ/α times this, so λ less its logarithm (arXiv:2301.11093, eq. 5; in flow coordinates arXiv:2403.03206,
    eq. 23). `zero_snr` (arXiv:2305.08891, algorithm 1): √ᾱ is shifted so that it ends at 0 and stretched so that its
    first value stays.
    """
    if shift != 1:
        plain = from_lam(plain.lam - np.log(shift), plain.coordinates)
    if not zero_snr:
        return plain
    if plain.coordinates != "vp":
        raise UsageError(f"zero_snr is for variance-preserving schedules, not {plain.coordinates}", "leave it out")
    if plain.alpha[-1] == 0:
        return plain
    if plain.T == 1:
        raise UsageError("zero_snr needs a schedule of at least two steps", "use a larger T")
    first, last = plain.alpha[0], plain.alpha[-1]
    alpha = (plain.alpha - last) * (first / (first - last))
    return Schedule(alpha, np.sqrt((1 - alpha) * (1 + alpha)))


@dataclass(frozen=True)
class ScheduleMaker:
    """A registered schedule: the function that makes it, and what its options are."""

    name: str
    make: Callable[..., Schedule]
    cite: str
    model: type[BaseModel] = field(repr=False)
    scales_beta: bool = False
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.make.__doc__ or "")

    def __call__(self, **options: Any) -> Schedule:
        """The schedule with these options, transforms applied; raises UsageError for what it does not have."""
        values = checked(self.name, self.model, options)
        steps = values.get("T")
        if isinstance(steps, int) and steps > MOST_STEPS:  # of another package's schedule; our own say so themselves
            raise UsageError(f"{self.name}: T={steps} is too long for a schedule", f"use at most {MOST_STEPS}")
        # A schedule that names a transform among its own options sees to it itself.
        others = _TRANSFORMS - inspect.signature(self.make).parameters.keys()
        token = written(self.name, self.model, values)
        try:
            with guarded(self.origin, f"cannot make {token}", seconds=ARITHMETIC), np.errstate(all="ignore"):
                plain: Any = self.make(**{k: v for k, v in values.items() if k not in others})
                if not isinstance(plain, Schedule):
                    what = f"scheduler {self.name} returned a {type(plain).__name__}, not a Schedule"
                    raise PluginError(what, "return what from_betas, from_lam or Schedule(…) make")
            with np.errstate(all="ignore"):  # what comes of it is examined
                result = transformed(plain, **{k: v for k, v in values.items() if k in others})
        except UsageError as error:
            raise UsageError(f"{token}: {error}", error.hint) from error
        except ArithmeticError as error:
            raise UsageError(f"{token}: its numbers are too large or too small", MILDER) from error
        scale = 1000 / result.T if self.scales_beta else 1.0
        return replace(result, token=token, cite=self.cite, portable=self._portable(values), beta_scale=scale)

    def _portable(self, values: dict[str, Any]) -> bool:
        """Whether these options make the same schedule wherever dtool is: it is dtool's own, and reads no file."""
        own = self.make.__module__.partition(".")[0] == "dtool"
        return own and not any(names_file(self.model.model_fields[name], value) for name, value in values.items())


_TRANSFORMS = frozenset(options_of(transformed).model_fields)


def scheduler(
    name: str, *, cite: str = "", scales_beta: bool = False
) -> Callable[[Callable[..., Schedule]], ScheduleMaker]:
    """Make a noise schedule out of a function `(*, T=1000, …) -> Schedule`; its keyword-only parameters are options.

    scales_beta: the function multiplies its β by 1000/T, which users of other people's networks are told.
    """

    def wrap(function: Callable[..., Schedule]) -> ScheduleMaker:
        return ScheduleMaker(name, function, cite, options_of(function, transformed), scales_beta)

    return wrap
