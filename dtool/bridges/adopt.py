"""dtool.adopt(...): a sampler of another library, as a plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError, format_value
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import CLEAN, Point, grid
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing
from dtool.spacings.spacing import Spacing
from dtool.util.arguments import check_arguments

if TYPE_CHECKING:
    from dtool.bridges.adoption import Adoption

DEFAULT_STEPS = 50
AZULA = "azula.sample.Sampler"  # which is not imported to find out


@check_arguments
def adopt(
    source: Any,
    *,
    steps: int | None = None,
    schedule: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    sigmas: Sequence[float] | None = None,
    exact: bool = False,
    **options: Any,
) -> Plan:
    """The plan of a sampler of another library: its own code runs, on unit vectors instead of images.

    source: a scheduler of diffusers, as it is configured, a sampler object of azula, or a function in k-diffusion's
    form, `sampler(model, x, sigmas, extra_args=…, callback=…, disable=…)`, where `model(x, sigma)` gives the image.
    The network answers with unit vectors, so does the source of noise, and every coefficient is read off; random
    vectors confirm that there is no more to it, and the plan's rows are compared with what was read.
    steps: default 50. options: of a scheduler, arguments of its `set_timesteps` and `step` (`eta=`, `mu=`); of a
    function, its own. exact: a scheduler's constants are made again in float64, where it has float32 ones.
    schedule, spacing: the grid of a function (default linear, trailing); sigmas: its own σ/α instead, falling.
    The plan runs on any network and any backend, clipped or not, whatever the scheduler's clip_sample says.
    Raises UsageError, with the network call at which it shows, for what is not linear, adaptive or not finite, and for
    options that there are none of.

    >>> def euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    ...     for now, to in zip(sigmas[:-1], sigmas[1:]):
    ...         x = x + (to - now) * (x - model(x, now * x.new_ones(len(x)))) / now
    ...     return x
    >>> plan = dtool.adopt(euler, steps=10)
    >>> plan.rows, dtool.plan("euler", steps=10).alpha_bar.round(9).tolist() == plan.alpha_bar.round(9).tolist()
    (10, True)
    """
    return make_adoption(
        source, steps=steps, schedule=schedule, spacing=spacing, sigmas=sigmas, exact=exact, **options
    ).plan


def make_adoption(
    source: Any,
    *,
    steps: int | None = None,
    schedule: str | Schedule | None = None,
    spacing: str | Spacing | None = None,
    sigmas: Sequence[float] | None = None,
    exact: bool = False,
    **options: Any,
) -> Adoption:
    """As `adopt`, with what was measured on the way."""
    if steps is not None and steps < 1:
        raise UsageError(f"steps={steps} is not a number of steps", "use 1 or more")
    steps_of = hasattr(source, "step") or hasattr(source, "step_pred")
    if hasattr(source, "set_timesteps") and steps_of and not isinstance(source, type):
        if (schedule, spacing, sigmas) != (None, None, None):
            raise UsageError("a scheduler has levels of its own", "leave out schedule, spacing and sigmas")
        from dtool.bridges.diffusers_words import adopt_scheduler

        return adopt_scheduler(source, steps or DEFAULT_STEPS, exact, options)
    if any(f"{cls.__module__}.{cls.__qualname__}" == AZULA for cls in type(source).__mro__):
        if options or (schedule, spacing, sigmas) != (None, None, None):
            raise UsageError("a sampler of azula has levels and options of its own", "give it alone, or azula:CLASS")
        from dtool.bridges.azula_words import adopt_object

        return adopt_object(source, steps)
    if not callable(source) or isinstance(source, type):
        raise UsageError(
            f"{format_value(source)} is no sampler", "give a scheduler of diffusers, a sampler of azula, or a function"
        )
    return _adopt_function(source, *_make_grid(steps, schedule, spacing, sigmas), options)


def _make_grid(
    steps: int | None, schedule: str | Schedule | None, spacing: str | Spacing | None, sigmas: Sequence[float] | None
) -> tuple[Sequence[Point], Schedule | None]:
    """(points, the schedule that their times count on) for a function."""
    if sigmas is not None:
        if (steps, spacing) != (None, None):
            raise UsageError("sigmas are given, and steps or a spacing too", "give one of them")
        levels = get_scheduler(schedule) if isinstance(schedule, str) else schedule
        values = [float(sigma) for sigma in sigmas]
        if len(values) < 2 or any(to >= now for now, to in pairwise(values)) or values[-1] < 0:
            raise UsageError(f"sigmas={format_value(values)} do not fall", "give two or more, from noise to image")
        return [Point(1.0, value) if value else CLEAN for value in values], levels
    levels = get_scheduler(schedule or "linear") if not isinstance(schedule, Schedule) else schedule
    place = spacing if isinstance(spacing, Spacing) else get_spacing(spacing or "trailing")
    return grid(levels, place, steps or DEFAULT_STEPS), levels


def _adopt_function(
    function: Callable[..., Any], points: Sequence[Point], schedule: Schedule | None, options: dict[str, Any]
) -> Adoption:
    from dtool.bridges.installed import find_package_version
    from dtool.bridges.sigma_driver import adopt_function, require_form

    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', type(function).__name__)}"
    require_form(function, name)
    known = inspect.signature(function).parameters
    for key in options:
        if key not in known:
            raise UsageError(f"{name} has no option {key!r}", f"it takes {', '.join(known)}")
    said = ",".join(f"{key}={value}" for key, value in options.items())
    token = f"{name}:{said}" if said else name
    return adopt_function(function, points, options, (token, find_package_version(function)), schedule)
