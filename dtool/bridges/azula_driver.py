"""azula's samplers: objects that ask a denoiser for its posterior's mean, and its schedule for α and σ."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot
from types import SimpleNamespace
from typing import Any

import torch

from dtool.bridges.adopt import AZULA
from dtool.bridges.adoption import Adoption, adopt_sampler
from dtool.bridges.probe import Probe
from dtool.bridges.unrolled import Ask, ForeignSampler, Level
from dtool.errors import UsageError
from dtool.plan.point import Point
from dtool.schedulers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class AzulaRun:
    """A sampler of azula, `make(denoiser)` a new one with float64 times, and the levels of those, from noise on."""

    make: Callable[[Any], Any]
    points: Sequence[Point]


def adopt_run(run: AzulaRun, token: str, source: str, schedule: Schedule | None) -> Adoption:
    """The sampler's plan on these points; raises UsageError for what is not linear or not finite."""
    first = run.points[0]
    if not first.alpha > 0:
        raise UsageError(f"{token}: its first level has no signal, by which it divides", "begin where there is some")
    return adopt_sampler(ForeignSampler(
        token=token, source=source, prediction="x0", run=lambda x, ask, probe: _run(run, x, ask, probe),
        init=hypot(first.alpha, first.sigma), schedule=schedule,
    ))  # fmt: skip


def _run(run: AzulaRun, x: Any, ask: Ask, probe: Probe) -> Any:
    """x at the end, from x at the start."""
    begins = [True]
    denoiser = _Denoiser(run, ask, begins)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        sampler = run.make(denoiser)
        denoiser.times = sampler.timesteps
        if type(sampler).__call__ is _find_base(sampler).__call__:  # it is called step by step: only then can it say
            sampler.step = _announce(sampler.step, begins)
            denoiser.is_told = True
        with torch.no_grad(), contextlib.ExitStack() as stack:
            stack.enter_context(probe)
            return sampler(x)
    finally:
        torch.set_default_dtype(default)


def _announce(step: Callable[..., Any], begins: list[bool]) -> Callable[..., Any]:
    """A sampler's step that says when it begins."""

    def announced(*given: Any, **named: Any) -> Any:
        begins[0] = True
        return step(*given, **named)

    return announced


def _find_base(sampler: Any) -> Any:
    return next(cls for cls in type(sampler).__mro__ if f"{cls.__module__}.{cls.__qualname__}" == AZULA)


class _Denoiser:
    """What a sampler of azula asks: `schedule(t)`, and itself at (x, t) for the mean."""

    is_told = False

    def __init__(self, run: AzulaRun, ask: Ask, begins: list[bool]) -> None:
        self.points, self.ask, self.begins = run.points, ask, begins
        self.times = torch.zeros(1)
        self.levels = torch.tensor([(point.alpha, point.sigma) for point in run.points], dtype=torch.float64)

    def schedule(self, t: Any) -> tuple[Any, Any]:
        """(α, σ) at times of the sampler's own."""
        pairs = self.levels[self._find(t)]
        return pairs[..., 0], pairs[..., 1]

    def __call__(self, x: Any, t: Any, **_: Any) -> Any:
        """The posterior at (x, t): its mean is the network's answer."""
        point = self.points[int(self._find(t))]
        starts, self.begins[0] = self.begins[0] or not self.is_told, False
        return SimpleNamespace(mean=self.ask(x, x, Level(point.alpha, point.sigma, point.t, starts)))

    def _find(self, t: Any) -> Any:
        """The places of times among the sampler's own."""
        return (self.times - torch.as_tensor(t)[..., None]).abs().argmin(dim=-1)
