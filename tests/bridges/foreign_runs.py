"""Samplers of other libraries run by themselves, in loops of their own pipelines' form, and their plans beside them."""

from __future__ import annotations

import copy
import sys
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import torch

from dtool.bridges.adoption import Adoption
from dtool.bridges.diffusers_driver import MODULES
from dtool.bridges.probe import replace_names, widen_constants
from dtool.run.clipping import Clipping
from dtool.run.loop import run

SHAPE = (3, 2, 3, 3)


class ForeignRun(NamedTuple):
    """A library's own run: the start, the times told, the noises drawn, the end."""

    start: Any
    times: list[float]
    noises: list[Any]
    end: Any


def say(x: Any, t: float) -> Any:
    """A network that is nonlinear in x `(B, *)` and in t, and mixes neighbouring elements."""
    late = abs(t) / (abs(t) + 150)
    return 0.7 * late * torch.tanh(x) + 0.4 * (1 - late) * torch.sin(1.5 * x.roll(1, -1) + t / 90) + 0.1 * x


class Noise:
    """Normal numbers in the order in which they are drawn."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.drawn: list[Any] = []
        self._dtype, self._generator = dtype, torch.Generator().manual_seed(7)

    def draw(self, *_: Any, **__: Any) -> Any:
        """The next one, whatever a library wants to say about it."""
        made = torch.randn(SHAPE, generator=self._generator, dtype=torch.float64).to(self._dtype)
        self.drawn.append(made)
        return made


def run_scheduler(
    scheduler: Any, steps: int, dtype: torch.dtype, step: dict[str, Any], *, wide: bool = False
) -> ForeignRun:
    """The loop of diffusers' pipelines, on `say`, on data of `dtype`; wide: the scheduler's constants are float64."""
    noise = Noise(dtype)
    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(MODULES)]
    with torch.no_grad(), ExitStack() as stack:
        if wide:
            stack.enter_context(widen_constants(*modules))
            scheduler = type(scheduler)(**{k: v for k, v in scheduler.config.items() if not k.startswith("_")})
        else:
            scheduler = copy.deepcopy(scheduler)
        own = vars(sys.modules[type(scheduler).__module__])
        tree = lambda *_, **__: noise.draw  # noqa: E731
        stack.enter_context(replace_names(own, randn_tensor=noise.draw, BrownianTreeNoiseSampler=tree))
        scheduler.set_timesteps(steps)
        x = begun = start * float(getattr(scheduler, "init_noise_sigma", 1.0))
        for t in scheduler.timesteps:
            given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            x = scheduler.step(say(given, float(t)), t, x, return_dict=False, **step)[0]
    return ForeignRun(begun, [float(t) for t in scheduler.timesteps], noise.drawn, x)


def run_plan(made: Adoption, run_: ForeignRun) -> Any:
    """What the plan makes of the same start and noises, in the loop that dtool samples by."""
    plan, weights = made.plan, torch.from_numpy(made.noises).to(run_.start.dtype)
    mixed = [sum(w * z for w, z in zip(row, run_.noises, strict=True)) for row in weights]
    scales = plan.c[plan.c != 0]
    noise = iter([float(c) * z for c, z in zip(scales, mixed, strict=True)])
    limit = None if made.bounds is None else Clipping(*made.bounds)
    return run(plan, lambda x, t: say(x, float(t)), run_.start.clone(), run_.times, noise, limit=limit)


def difference(one: Any, other: Any) -> float:
    """The largest difference, relative to the largest number."""
    return float((one - other).abs().max() / other.abs().max())


def largest_coefficient(one: Any, other: Any) -> float:
    """The largest difference between the columns of two plans that say what becomes of x."""
    return max(float(np.abs(getattr(one, name) - getattr(other, name)).max()) for name in ("a", "b", "c", "a_saved"))
