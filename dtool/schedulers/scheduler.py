"""How a noise schedule is registered: `@scheduler` makes one, with its options, out of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from dtool.errors import PluginError, UsageError
from dtool.plugins.isolation import ARITHMETIC_SECONDS, Origin, guard_code
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.util.file_references import is_file_name
from dtool.util.options import build_options_model, check_options, format_token, list_options

MILDER_HINT = "use less extreme options"


def transform_schedule(
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


@dataclass(frozen=True, kw_only=True)
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
        values = check_options(self.name, self.model, options)
        steps = values.get("T")
        if isinstance(steps, int) and steps > MAX_STEPS:  # of another package's schedule; our own say so themselves
            raise UsageError(f"{self.name}: T={steps} is too long for a schedule", f"use at most {MAX_STEPS}")
        # A schedule that names a transform among its own options sees to it itself.
        others = _TRANSFORMS - inspect.signature(self.make).parameters.keys()
        token = format_token(self.name, self.model, values)
        try:
            with guard_code(self.origin, f"cannot make {token}", seconds=ARITHMETIC_SECONDS), np.errstate(all="ignore"):
                plain: Any = self.make(**{k: v for k, v in values.items() if k not in others})
                if not isinstance(plain, Schedule):
                    what = f"scheduler {self.name} returned a {type(plain).__name__}, not a Schedule"
                    raise PluginError(what, "return what from_betas, from_lam or Schedule(…) make")
            with np.errstate(all="ignore"):  # what comes of it is examined
                result = transform_schedule(plain, **{k: v for k, v in values.items() if k in others})
        except UsageError as error:
            raise UsageError(f"{token}: {error}", error.hint) from error
        except ArithmeticError as error:
            raise UsageError(f"{token}: its numbers are too large or too small", MILDER_HINT) from error
        scale = 1000 / result.T if self.scales_beta else 1.0
        return replace(
            result,
            token=token,
            cite=self.cite,
            portable=self._is_portable(values),
            beta_scale=scale,
            token_hash=result.hash,
        )

    def _is_portable(self, values: dict[str, Any]) -> bool:
        """Whether these options make the same schedule wherever dtool is: it is dtool's own, and reads no file."""
        own = self.make.__module__.partition(".")[0] == "dtool"
        return own and not any(is_file_name(self.model.model_fields[name], value) for name, value in values.items())


_TRANSFORMS = frozenset(list_options(transform_schedule))


def scheduler(
    name: str, *, cite: str = "", scales_beta: bool = False
) -> Callable[[Callable[..., Schedule]], ScheduleMaker]:
    """Make a noise schedule out of a function `(*, T=1000, …) -> Schedule`; its keyword-only parameters are options.

    scales_beta: the function multiplies its β by 1000/T, which users of other people's networks are told.

    >>> @dtool.scheduler("fading")
    ... def fading(*, T: int = 1000):
    ...     return dtool.from_alpha_bar(lambda u: (1 - u) ** 2, T, max_beta=0.999)
    >>> dtool.plan("ddim", scheduler=fading(T=100), steps=5).rows
    5
    """

    def wrap(function: Callable[..., Schedule]) -> ScheduleMaker:
        model = build_options_model(function, transform_schedule)
        return ScheduleMaker(name=name, make=function, cite=cite, model=model, scales_beta=scales_beta)

    return wrap
