"""diffusers' schedulers, run in the precision that is asked for, with noise that can be replayed."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Self

import numpy as np
import pytest
import torch

from dtool.plan import Point
from tests.parity.pairing import Noise, Run, output, time_at


class _Wide:
    """A module whose `float32` is float64: diffusers asks for float32 by name wherever it makes or rounds a table."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, "float64" if name == "float32" else name)


@contextlib.contextmanager
def precision(name: str, dtype: torch.dtype, noise: Noise) -> Iterator[ModuleType]:
    """The module of a scheduler, computing in `dtype` and drawing from `noise`."""
    pytest.importorskip("diffusers")
    module = importlib.import_module(f"diffusers.schedulers.scheduling_{name}")
    replaced = {"randn_tensor": noise.draw, "BrownianTreeNoiseSampler": lambda *_, **__: noise.draw}
    if dtype == torch.float64:
        replaced |= {"torch": _Wide(torch), "np": _Wide(np)}
    before = {key: getattr(module, key) for key in replaced if hasattr(module, key)}
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    for key in before:
        setattr(module, key, replaced[key])
    try:
        yield module
    finally:
        torch.set_default_dtype(default)
        for key, value in before.items():
            setattr(module, key, value)


def run(
    where: str, n: int, dtype: torch.dtype, *, seed: int = 0, step: dict[str, Any] | None = None,
    says: Callable[[Any, Any, Any], Any] | None = None, adapt: Callable[[Any], None] | None = None,
    points_of: Callable[[Any], list[Point]] | None = None, seen: list[Any] | None = None, **config: Any,
) -> Run:  # fmt: skip
    """What the scheduler of "module:Class" makes in `n` steps, with these options of its own and of its `step`.

    says(scheduler, x, t): the network's output, where `answer` is not it. adapt(scheduler): after its grid is made.
    seen: filled with x before each step and at the end.
    points_of(scheduler): the levels of the run, where `grid` does not know them.
    """
    name, _, kind = where.partition(":")
    noise = Noise(dtype, seed)
    with precision(name, dtype, noise) as module:
        scheduler = getattr(module, kind)(**config)
        scheduler.set_timesteps(n)
        if adapt is not None:
            adapt(scheduler)
        points = (points_of or grid)(scheduler)
        x = start = noise.start() * float(np.hypot(points[0].alpha, points[0].sigma))
        calls, extra = 0, dict(step or {})
        if "variance_noise" in inspect.signature(scheduler.step).parameters and extra.get("eta"):
            extra["variance_noise"] = ...
        for t in scheduler.timesteps:
            if "variance_noise" in extra:
                extra["variance_noise"] = noise.draw()
            said = (says or answer)(scheduler, x, t)
            seen.append(x) if seen is not None else None
            x = scheduler.step(said, t, x, return_dict=False, **extra)[0]
            calls += 1
        seen.append(x) if seen is not None else None
    return Run(points, start, x, calls, noise, PREDICTIONS[config.get("prediction_type", _default(scheduler))])


PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow": "flow"}


def answer(scheduler: Any, x: Any, t: Any) -> Any:
    """The network's output: for the level itself where the scheduler keeps one, for its time where it does not."""
    if not hasattr(scheduler, "sigmas") or not levels_by_index(scheduler):
        return output(x, t)
    if scheduler.step_index is None:
        scheduler._init_step_index(t)
    level = level_of(scheduler, scheduler.step_index)
    size = float(np.hypot(level.alpha, level.sigma))
    return output(x / size, time_at(level.v) if np.isnan(level.t) else level.t)


def _default(scheduler: Any) -> str:
    return "flow" if flows(scheduler) else "epsilon"


def flows(scheduler: Any) -> bool:
    """Whether x = (1 - σ)·x0 + σ·ε."""
    return "Flow" in type(scheduler).__name__ or "RF" in type(scheduler).__name__


def levels_by_index(scheduler: Any) -> bool:
    """Whether the step's level is `sigmas[step_index]`."""
    return hasattr(scheduler, "sigmas") and hasattr(scheduler, "step_index")


def exploding(scheduler: Any) -> bool:
    """Whether x = x0 + σ·ε: the schedulers that scale the network's input."""
    return hasattr(scheduler, "scale_model_input") and "sigma" in inspect.getsource(scheduler.scale_model_input)


def level_of(scheduler: Any, i: int) -> Point:
    """The level at which a scheduler calls the network in its i-th call."""
    between = not getattr(scheduler, "state_in_first_order", True)
    if between and hasattr(scheduler, "mid_point_sigma"):
        return _point(scheduler, float(scheduler.mid_point_sigma), i)
    if between and hasattr(scheduler, "sigmas_interpol"):
        late = "Ancestral" in type(scheduler).__name__
        return _point(scheduler, float(scheduler.sigmas_interpol[i - late]), i)
    return _point(scheduler, float(scheduler.sigmas[i]), i)


def _point(scheduler: Any, sigma: float, i: int) -> Point:
    if flows(scheduler):
        return Point(1 - sigma, sigma)
    if exploding(scheduler):
        return Point(1.0, sigma)
    scale = (1 + sigma * sigma) ** 0.5
    return Point(1 / scale, sigma / scale, float(scheduler.timesteps[i]) if i < len(scheduler.timesteps) else np.nan)


def grid(scheduler: Any) -> list[Point]:
    """The levels of a whole run, its end included."""
    if levels_by_index(scheduler):
        sigmas = [float(s) for s in scheduler.sigmas]
        last = len(sigmas) - 1  # a last step of no length has a call of its own, Heun's second calls have not
        apart = [s != sigmas[i - 1] or i == 0 or (i == last and s > 0) for i, s in enumerate(sigmas)]
        return [_point(scheduler, s, i) for i, s in enumerate(sigmas) if apart[i]]
    times = [int(t) for t in scheduler.timesteps]
    times = [t for i, t in enumerate(times) if i == 0 or t != times[i - 1]]
    bars = [float(scheduler.alphas_cumprod[t]) for t in times]
    bars.append(float(getattr(scheduler, "final_alpha_cumprod", 1.0)))
    return [Point(b**0.5, (1 - b) ** 0.5, t) for b, t in zip(bars, [*times, np.nan], strict=True)]


def denoised(scheduler: Any, x: Any) -> tuple[Any, Any]:
    """(x0, σ) of the network `output` at the scheduler's level, for schedulers that scale what a network says."""
    sigma = scheduler.sigmas[scheduler.step_index]
    v = float(sigma)
    return x - v * output(x / (1 + v * v) ** 0.5, time_at(v)), sigma


def preconditioned(scheduler: Any, x: Any, t: Any) -> Any:
    """What a network of EDM would have to say, so that its x0 is that of `output`."""
    if scheduler.step_index is None:
        scheduler._init_step_index(t)
    if hasattr(scheduler, "is_scale_input_called"):
        scheduler.is_scale_input_called = True
    x0, sigma = denoised(scheduler, x)
    one, none = torch.ones_like(x), torch.zeros_like(x)
    skip, out = (float(scheduler.precondition_outputs(a, b, sigma).flatten()[0]) for a, b in ((one, none), (none, one)))
    return (x0 - skip * x) / out


def at_the_boundary(scheduler: Any, x: Any, t: Any) -> Any:
    """The same for a consistency model."""
    if scheduler.step_index is None:
        scheduler._init_step_index(t)
    scheduler.is_scale_input_called = True
    x0, sigma = denoised(scheduler, x)
    skip, out = scheduler.get_scalings_for_boundary_condition(sigma)
    return (x0 - skip * x) / out


def to_the_image(scheduler: Any) -> list[Point]:
    """The levels of a scheduler that ends at σ_min and takes that for the image."""
    return [*grid(scheduler)[:-1], Point(1.0, 0.0)]


def _inverse_grid(scheduler: Any) -> list[Point]:
    times = [int(t) for t in reversed(scheduler.timesteps)]
    bars = [float(scheduler.alphas_cumprod[t]) for t in times]
    return [*(Point(b**0.5, (1 - b) ** 0.5, t) for b, t in zip(bars, times, strict=True)), Point(1.0, 0.0)]


def _inverse_says(scheduler: Any, x: Any, t: Any) -> Any:
    """Told the time of the level that x has; diffusers' pipelines tell the network the next one, `t`."""
    return output(x, max(int(t) - 1000 // scheduler.num_inference_steps, 0))


INVERSE = {"says": _inverse_says, "points_of": _inverse_grid}


def _ipndm_levels(scheduler: Any) -> None:
    """σ falling evenly from 0.98: from its own first level, α = 0, diffusers divides by 1e-8."""
    n = scheduler.num_inference_steps
    scheduler.betas = torch.linspace(0.98, 0, n + 1)
    scheduler.alphas = (1 - scheduler.betas**2) ** 0.5
    scheduler.timesteps = torch.atan2(scheduler.betas, scheduler.alphas)[:-1] / torch.pi * 2


def _ipndm_grid(scheduler: Any) -> list[Point]:
    return [Point(float((1 - b * b) ** 0.5), float(b)) for b in scheduler.betas]


def _ipndm_says(scheduler: Any, x: Any, t: Any) -> Any:
    """Its networks predict v; this one ε, put into its words: ε = σ·x + α·v."""
    i = 0 if scheduler.step_index is None else scheduler.step_index
    alpha, sigma = scheduler.alphas[i], scheduler.betas[i]
    return (output(x, time_at(float(sigma / alpha))) - sigma * x) / alpha


IPNDM = {"says": _ipndm_says, "points_of": _ipndm_grid, "adapt": _ipndm_levels}


class _Kept:
    """A coefficient that nothing is added to."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __rmul__(self, factor: Any) -> Any:
        return factor * self.value

    def __iadd__(self, _: object) -> Self:
        return self

    __isub__ = __iadd__


def _without_appendix_d(scheduler: Any) -> None:
    """SA-Solver's formulas as they are: at order 2 its code adds terms of order h³ (arXiv:2309.05019, appendix D)."""
    made = scheduler.get_coefficients_fn

    def kept(*arguments: Any) -> list[Any]:
        return [_Kept(c) for c in made(*arguments)]

    scheduler.get_coefficients_fn = kept


def sa(tau: float, predictor: int, corrector: int) -> dict[str, Any]:
    """The options of SA-Solver with a constant τ."""
    return {
        "tau_func": lambda _: torch.tensor(tau), "predictor_order": predictor, "corrector_order": corrector,
        "adapt": _without_appendix_d,
    }  # fmt: skip
