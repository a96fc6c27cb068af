"""Words such as azula:DDIMSampler:eta=0.5: a sampler of azula, on a grid of dtool's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from dtool.bridges.adoption import Adoption
from dtool.bridges.azula_driver import AzulaRun, adopt_run
from dtool.bridges.foreign_options import build_model
from dtool.bridges.installed import get_version, import_library
from dtool.errors import UsageError, did_you_mean, format_value
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval
from dtool.plan.point import Point, points_on
from dtool.schedulers.schedule import Schedule
from dtool.util.options import parse_token

GIVEN = ("denoiser", "start", "stop", "steps", "silent", "dtype", "device", "kwargs")


def read_rule(word: str) -> ForeignRule:
    """The rule of "CLASS:key=value,…"; see `dtool.plan.foreign`."""
    name, options = parse_token(word)
    found = find_class(name)
    model = build_model(name, [found.__init__], GIVEN)
    defaults = tuple((key, field.default) for key, field in model.model_fields.items())
    rule = ForeignRule(
        name=f"azula:{name}", step=refuse_interval, order=1, startup_order=1, calls=1, basis="x0",
        cite=f"azula {get_version('azula')}", stochastic=False, model=model, family="adopted", options=defaults,
        own_grid=False, adopt=lambda rule, request: _adopt(found, rule, request),
    )  # fmt: skip
    return rule.bind(**options)  # type: ignore[return-value]


def find_class(name: str) -> Any:
    """One of azula's own sampler classes; raises UsageError for another name."""
    module = import_library("azula", "azula.sample")
    names = [one for one in module.__all__ if one != "Sampler"]
    if name not in names:
        raise UsageError(f"azula has no sampler {format_value(name)}", did_you_mean(name, names))
    return getattr(module, name)


def adopt_object(sampler: Any, steps: int | None) -> Adoption:
    """The plan of a sampler object of azula, as it is made, with its denoiser's schedule; the object is left alone.

    steps: if given, they must be the sampler's own.
    """
    import torch

    name = type(sampler).__name__
    if steps not in (None, sampler.steps):
        raise UsageError(f"this {name} makes {sampler.steps} steps, not {steps}", "leave the steps out")
    with torch.no_grad():
        times = torch.linspace(sampler.start, sampler.stop, sampler.steps + 1, dtype=torch.float64)
        alpha, sigma = (torch.broadcast_to(each, times.shape).tolist() for each in sampler.denoiser.schedule(times))
    points = [Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)]

    def make(denoiser: Any) -> Any:
        own = copy.copy(sampler)
        own.denoiser, own.dtype, own.silent, own.device = denoiser, torch.float64, True, None
        return own

    return adopt_run(AzulaRun(make=make, points=points), f"azula:{name}", f"azula {get_version('azula')}", None)


def _adopt(found: Any, rule: ForeignRule, request: AdoptionRequest) -> Adoption:
    assert request.points is not None, "it is given its levels"
    import torch

    points = end_above_zero(request.points, request.schedule)
    options = dict(rule.options)

    def make(denoiser: Any) -> Any:
        return found(denoiser, steps=len(points) - 1, silent=True, dtype=torch.float64, **options)

    return adopt_run(AzulaRun(make=make, points=points), rule.token, rule.cite, request.schedule)


def end_above_zero(points: Sequence[Point], schedule: Schedule | None) -> Sequence[Point]:
    """The points with the schedule's cleanest level in the place of the image, as azula's own grids end.

    Where the last step begins there already, the image stays.
    """
    if points[-1].sigma > 0 or schedule is None:
        return points
    cleanest = points_on(schedule, [0.0])[0]
    return [*points[:-1], cleanest] if points[-2].v > (1 + 1e-9) * cleanest.v else points
