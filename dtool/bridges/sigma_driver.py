"""Samplers in k-diffusion's form: a function of a denoiser, a start and the levels σ of an x = x0 + σ·ε."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import torch

from dtool.bridges.adoption import Adoption, adopt_sampler
from dtool.bridges.probe import BrownianPath, Probe, replace_names
from dtool.bridges.unrolled import Ask, ForeignSampler, Level
from dtool.errors import UsageError
from dtool.plan.point import Point, points_on
from dtool.schedulers.schedule import Schedule

FORM = "sampler(model, x, sigmas, extra_args=…, callback=…, disable=…)"
_PLUMBING = ("extra_args", "callback", "disable", "noise_sampler")
_BY_ENDS = ("model", "x", "sigma_min", "sigma_max", "n")  # of one that makes its own levels between two


@dataclass(frozen=True, kw_only=True)
class SigmaRun:
    """A function in k-diffusion's form, the grid that it is given, and its options by name."""

    function: Callable[..., Any]
    points: Sequence[Point]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sigmas(self) -> list[float]:
        """σ/α of the grid, from noise to image."""
        return [point.v for point in self.points]


def list_parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a sampler's parameters: what it is given, and then its options, without what is plumbing."""
    return tuple(name for name in inspect.signature(function).parameters if name not in _PLUMBING)


def require_form(function: Callable[..., Any], token: str) -> None:
    """Raise UsageError for a function that cannot be called as a sampler of k-diffusion's form."""
    try:
        names = list_parameters(function)
    except (TypeError, ValueError):
        names = ()
    if names[:4] == _BY_ENDS[:4] and names[:5] != _BY_ENDS:
        raise UsageError(
            f"{token} is adaptive: it chooses its steps by the error that it finds",
            "only samplers whose steps are fixed beforehand are tables",
        )
    if len(names) < 3 or (names[2] != "sigmas" and names[:5] != _BY_ENDS):
        raise UsageError(f"{token} takes ({', '.join(names)})", f"a sampler is {FORM}")


def make_sampler(run: SigmaRun, token: str, source: str, schedule: Schedule | None) -> ForeignSampler:
    """The function as a sampler that can be unrolled; raises UsageError for one of another form, or another grid."""
    require_form(run.function, token)
    sigmas = run.sigmas
    if not all(0 < sigma < float("inf") for sigma in sigmas[:-1]):
        raise UsageError(
            f"{token}: σ/α of its grid is not finite, or reaches 0 before its end", "begin where there is some signal"
        )
    return ForeignSampler(
        token=token, source=source, prediction="x0", run=lambda x, ask, probe: _run(run, x, ask, probe),
        init=sigmas[0], schedule=schedule,
    )  # fmt: skip


def adopt_function(
    function: Callable[..., Any], points: Sequence[Point], options: Mapping[str, Any], names: tuple[str, str],
    schedule: Schedule | None,
) -> Adoption:  # fmt: skip
    """The function's plan on these points; names: (token, source). Of one that makes its own levels, between the ends.

    Where such a grid ends at the image, its levels end at the schedule's cleanest one.
    """
    require_form(function, names[0])
    if _is_by_ends(function) and points[-1].sigma == 0 and schedule is not None:
        points = [*points[:-1], *points_on(schedule, [0.0])[:1]]
    return adopt_sampler(make_sampler(SigmaRun(function=function, points=points, options=options), *names, schedule))


def _is_by_ends(function: Callable[..., Any]) -> bool:
    return list_parameters(function)[: len(_BY_ENDS)] == _BY_ENDS


def _run(run: SigmaRun, x: Any, ask: Ask, probe: Probe) -> Any:
    """x at the end, from x at the start; x counts in units of the first σ while it is a start."""
    times = {point.v: point.t for point in run.points}
    calls: list[int] = []
    starts: set[int] = set()

    def model(x: Any, sigma: Any, **_: Any) -> Any:
        level = float(sigma.reshape(-1)[0])
        calls.append(len(calls))
        return ask(x, x, Level(1.0, level, _look_up(times, level)))

    def callback(_: object) -> None:
        starts.add(calls[-1])

    accepted = inspect.signature(run.function).parameters
    plumbing = {"extra_args": {}, "callback": callback, "disable": True}
    given = dict(run.options) | {name: value for name, value in plumbing.items() if name in accepted}
    path = BrownianPath(probe)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), contextlib.ExitStack() as stack:
            names = getattr(inspect.unwrap(run.function), "__globals__", {})
            stack.enter_context(replace_names(names, BrownianTreeNoiseSampler=lambda *_, **__: path))
            stack.enter_context(probe)
            end = run.function(model, x, *_list_levels(run), **given)
    finally:
        torch.set_default_dtype(default)
    if starts:
        probe.events.starts = starts
    return end


def _list_levels(run: SigmaRun) -> list[Any]:
    """What the function is told of its levels: all of them, or the ends and how many."""
    sigmas = run.sigmas
    if not _is_by_ends(run.function):
        return [torch.tensor(sigmas, dtype=torch.float64)]
    least = sigmas[-1] if sigmas[-1] > 0 else sigmas[-2]
    return [least, sigmas[0], len(sigmas) - 1]


def _look_up(times: Mapping[float, float], level: float) -> float:
    """The time of a level of the grid; NaN for one between."""
    near = min(times, key=lambda v: abs(v - level))
    return times[near] if abs(near - level) <= 1e-12 * level else nan
