"""What a spacing is: (schedule, n) → the n times at which the network is called, from noise to image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import AfterValidator, Field

from dtool.errors import UsageError
from dtool.plugins.bound_function import BoundFunction, list_defaults
from dtool.plugins.isolation import ARITHMETIC_SECONDS, guard_code
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.schedule import Schedule
from dtool.schedulers.scheduler import MILDER_HINT
from dtool.util.arrays import Array
from dtool.util.file_references import get_containing_file
from dtool.util.options import list_options


class WrongTimesError(UsageError):
    """A spacing's function returned times that are not n, do not fall, or are not on the schedule."""


class Timesteps(NamedTuple):
    """A spacing on a schedule: where the steps begin, the times that the network is told, and where the last ends.

    `end` is a time, or None for the clean image.
    """

    times: Array
    network_times: Array
    end: float | None


def common_options(
    *,
    end: Annotated[
        Literal["zero", "sigma_min", "alpha_bar_0", "stay"],
        Field(
            description="where the last step ends: the image; the spacing's own last level; the schedule's first; "
            "where it begins"
        ),
    ] = "zero",
    network_time: Annotated[
        Literal["exact", "round", "floor"], Field(description="make the time that the network is told a whole number")
    ] = "exact",
    first: Annotated[
        Literal["call", "analytic"], Field(description="whether the network is called at the first level")
    ] = "call",
    start: Annotated[
        int | None, Field(ge=0, description="a late start: the schedule is taken up to this time, in place of T-1")
    ] = None,
) -> None:
    """What can be asked of any spacing.

    end: "zero" is the clean image, σ = 0, after the n levels. "sigma_min" is the cleanest level that the spacing itself
    places: n + 1 are placed, and at the last the network is not called. "alpha_bar_0" is the schedule's first level,
    t = 0: it comes after the n levels, and where the n-th is t = 0 already, n + 1 are placed. "stay": the last step has
    no length, and its network call only corrects what came before, where the sampler does that.
    network_time: the levels stay as they are; only what the network hears is rounded to the nearest whole time, halves
    to even, or down.
    first: "analytic" saves a call: at the first level, where noise is all, ε is taken for x/√(α²+σ²).
    start: the steps are placed as on a schedule whose noisiest time this is. Noise without a trace of an image is then
    told to the network as if it were at that level, which is an error of its own, and with few steps worth its price.
    """


_COMMON_OPTIONS = frozenset(list_options(common_options))


@dataclass(frozen=True, kw_only=True)
class Spacing(BoundFunction):
    """A registered spacing with its options bound. Calling it gives times, float64 `(n,)`, strictly falling.

    The function may return n + 1 times: it then says itself where end=sigma_min lies. `rises`: its times may go up
    again. There are then more of them than n, which counts the steps that lead down, with the one to the end.
    """

    function: Callable[..., ArrayLike]
    rises: bool = False

    @property
    def is_analytic(self) -> bool:
        """Whether the network is not called at the first level."""
        return dict(self.options).get("first") == "analytic"

    def __call__(self, schedule: Schedule, n: int) -> Array:
        """The times in [0, T-1] at which exactly `n` steps begin, strictly falling unless the spacing `rises`.

        Raises UsageError if `n` is not in 1 … T, or if this spacing cannot place n points.
        """
        return self.place_times(schedule, n).times

    def place_times(self, schedule: Schedule, n: int) -> Timesteps:
        """The times, and with them what the network is told and where the last step ends; errors as when called."""
        chosen = dict(self.options)
        end, start = chosen.get("end", "zero"), chosen.get("start")
        schedule = schedule if start is None else schedule.cut(start)
        self._check_count(schedule, n, n)
        if end == "sigma_min":
            times, last = self._with_last(schedule, n)
        else:
            times, last = self._call_function(schedule, n)[0], None
            if end == "alpha_bar_0":
                times, last = self._with_last(schedule, n) if times[-1] == 0 else (times, 0.0)
        if end == "stay":
            return Timesteps(times, self._tell(times), float(times[-1]))
        if last is not None and not last < times[-1]:
            raise WrongTimesError(
                f"spacing {self.token} ends at t={last:g}, not below t={times[-1]:g}", "use another end"
            )
        return Timesteps(times, self._tell(times), last)

    def _tell(self, times: Array) -> Array:
        """What the network hears at these times."""
        rounding: dict[object, Callable[[Array], Array]] = {"exact": np.array, "round": np.round, "floor": np.floor}
        return np.asarray(rounding[dict(self.options).get("network_time", "exact")](times))

    def _with_last(self, schedule: Schedule, n: int) -> tuple[Array, float]:
        """n times, and the cleanest level that the spacing places after them."""
        times, last = self._call_function(schedule, n)
        if last is None:
            self._check_count(schedule, n + 1, n)
            all_times, _ = self._call_function(schedule, n + 1)
            times, last = all_times[:-1], float(all_times[-1])
        return times, last

    def _check_count(self, schedule: Schedule, levels: int, n: int) -> None:
        if n > MAX_STEPS:
            raise UsageError(f"{n} steps are too many for a plan", f"choose at most {MAX_STEPS}")
        if not n >= 1 or (levels > schedule.T and not self.rises):
            most = schedule.T - (levels - n)
            why = "" if levels == n else f" with {self.token}, which needs one level more"
            raise UsageError(
                f"{n} steps cannot be had from a schedule of {schedule.T}{why}",
                f"choose 1 to {most} steps" if most > 0 else "use another schedule",
            )

    def _call_function(self, schedule: Schedule, n: int) -> tuple[Array, float | None]:
        """What the function returns, examined: n times, and one after them if it names it."""
        others = self.list_arguments(_COMMON_OPTIONS)
        try:
            with (
                guard_code(self.origin, f"cannot place times as {self.token}", seconds=ARITHMETIC_SECONDS),
                np.errstate(all="ignore"),  # what comes of it is examined
            ):
                times = np.array(self.function(schedule, n, **others), dtype=np.float64)
                if times.ndim != 1:
                    raise WrongTimesError(
                        f"spacing {self.token} gives an array {times.shape}, not {n} times", "mend it"
                    )
        except ArithmeticError as error:
            raise WrongTimesError(
                f"spacing {self.token} cannot be placed: its numbers are too large or too small", MILDER_HINT
            ) from error
        last = float(times[-1]) if times.shape == (n + 1,) and not self.rises else None
        times = times if last is None else times[:-1]
        gaps = np.diff(times)
        if self.rises:
            good = times.ndim == 1 and times.size >= n and (gaps < 0).sum() == n - 1 and (gaps != 0).all()
            good = good and (n == 1 or gaps[0] < 0)
        else:
            good = times.shape == (n,) and bool((gaps < 0).all())
        foreign = None if self.origin is None or self.origin.is_builtin else self.origin
        if not good or not ((times >= 0) & (times <= schedule.T - 1)).all():
            where = (schedule.token or "this schedule") + ("" if foreign is None else f" ({foreign})")
            raise WrongTimesError(
                f"spacing {self.token} gives no {n} falling times on {where}", "use fewer steps or another spacing"
            )
        return times, last


def spacing(name: str, *, cite: str = "", rises: bool = False) -> Callable[[Callable[..., ArrayLike]], Spacing]:
    """Make a spacing out of `(schedule, n, *, …) -> n falling times`; its keyword-only parameters are options.

    See `Spacing` for a function that returns n + 1, and for `rises`.

    >>> @dtool.spacing("even")
    ... def even(schedule, n):
    ...     return np.linspace(schedule.T - 1, 0, n)
    >>> even(dtool.get_scheduler("cosine"), 4).tolist()
    [999.0, 666.0, 333.0, 0.0]
    """

    def wrap(function: Callable[..., ArrayLike]) -> Spacing:
        return make_spacing(name, function, cite, (function, common_options), rises)

    return wrap


def make_spacing(
    name: str,
    function: Callable[..., ArrayLike],
    cite: str,
    sources: tuple[Callable[..., Any], ...],
    rises: bool = False,
) -> Spacing:
    """A spacing with its options, the keyword-only parameters of the `sources`, at their defaults."""
    defaults = list_defaults(*sources)
    return Spacing(name=name, function=function, cite=cite, sources=sources, options=defaults, rises=rises)


def round_ratio(numerator: int, denominator: int) -> int:
    """numerator/denominator to the nearest whole number, halves to even: exact, where floats are not."""
    whole, rest = divmod(2 * numerator + denominator, 2 * denominator)
    return whole - 1 if rest == 0 and whole % 2 else whole


def resolve_spacing(token: str) -> Spacing:
    """The spacing that an option of another one names; raises UsageError if its times go up again."""
    from dtool.spacings import get_spacing as named

    spacing = named(token)
    if spacing.rises:
        raise UsageError(f"{token} goes up again, and so cannot be what another spacing is built on", "name another")
    return spacing


def _require_contained(token: str) -> str:
    """`token`, if what it names may be named here: a file's own words may not hide the name of another file in it."""
    if token and get_containing_file():
        try:
            resolve_spacing(token)
        except UsageError as error:
            raise ValueError(f"{error} ({error.hint})") from error
    return token


SpacingName = Annotated[str, AfterValidator(_require_contained)]
"""The type of an option that names another spacing, in the place of `str`."""
