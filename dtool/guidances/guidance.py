"""What guidance is: a noise level → how much of the scale acts there, and how far x is moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, NamedTuple

from pydantic import Field

from dtool.errors import UsageError
from dtool.plugins.bound_function import BoundFunction, list_defaults
from dtool.plugins.isolation import ARITHMETIC_SECONDS, guard_code
from dtool.util.options import list_options


class Level(NamedTuple):
    """Where a row stands: x = alpha·x0 + sigma·ε, `lam` = log(alpha/sigma), and `progress` through the rows, 0 … 1."""

    alpha: float
    sigma: float
    lam: float
    progress: float


class Guided(NamedTuple):
    """What guidance does in a row: its scale is 1 + strength·(scale - 1), and x becomes x + shift·(D - D_without).

    D is the guided image, D_without the image that is predicted without the conditions.
    """

    strength: float
    shift: float = 0.0


Guide = Callable[..., Guided | float]


def common_options(
    *,
    scale: Annotated[
        float | None, Field(ge=0, allow_inf_nan=False, description="1 is no guidance [default: the network's own]")
    ] = None,
    rescale: Annotated[
        float, Field(ge=0, le=1, description="share of the output that gets the deviation of the unguided one")
    ] = 0.0,
) -> None:
    """What can be asked of any guidance.

    scale: F = F_without + scale·(F_given - F_without) (arXiv:2207.12598, eq. 6, w + 1). rescale: that much of F is
    F·std(F_given)/std(F), image by image (arXiv:2305.08891, eq. 15-16).
    """


_COMMON_OPTIONS = frozenset(list_options(common_options))


@dataclass(frozen=True, kw_only=True)
class Guidance(BoundFunction):
    """A registered guidance with its options bound. Calling it with a Level says what is done there.

    has_limit: whether more and more steps lead to one result, so that there are an order and a solver error.
    """

    function: Guide
    has_limit: bool = True

    @property
    def scale(self) -> float | None:
        """The scale that it names; None for the network's own."""
        value: float | None = dict(self.options).get("scale")
        return value

    @property
    def rescale(self) -> float:
        """How much of the output is rescaled, 0 … 1."""
        value: float = dict(self.options).get("rescale", 0.0)
        return value

    def __call__(self, level: Level) -> Guided:
        """What is done at this level; raises UsageError if the function gives no finite numbers."""
        others = self.list_arguments(_COMMON_OPTIONS)
        with guard_code(self.origin, f"cannot guide as {self.token}", seconds=ARITHMETIC_SECONDS):
            given = self.function(level, **others)
            guided = given if isinstance(given, Guided) else Guided(float(given))
            if not (isfinite(guided.strength) and isfinite(guided.shift)):
                raise UsageError(
                    f"guidance {self.token} gives {tuple(guided)} at λ={level.lam:.4g}", "mend it: give finite numbers"
                )
        return Guided(float(guided.strength), float(guided.shift))


def guidance(name: str, *, cite: str = "", has_limit: bool = True) -> Callable[[Guide], Guidance]:
    """Make a guidance out of `(level, *, …) -> strength` or `-> Guided(strength, shift)`; see both and `Level`.

    Its keyword-only parameters are options, beside the scale and rescale that each has.

    >>> @dtool.guidance("late")
    ... def late(level):
    ...     return 1.0 if level.lam > 0 else 0.0
    >>> late(dtool.guidances.Level(alpha=0.8, sigma=0.6, lam=0.288, progress=0.5))
    Guided(strength=1.0, shift=0.0)
    """

    def wrap(function: Guide) -> Guidance:
        sources = (function, common_options)
        defaults = list_defaults(*sources)
        return Guidance(name=name, function=function, cite=cite, sources=sources, options=defaults, has_limit=has_limit)

    return wrap
