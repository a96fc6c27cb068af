"""dtool's samplers in the call form of k-diffusion, which ComfyUI and others share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.bridges.own_noise import draw_own, require_own_noise
from dtool.errors import UsageError
from dtool.plan.compiled_plan import Plan
from dtool.plan.compiler import compile as compile_rule
from dtool.plan.point import Point
from dtool.plan.recipe import Recipe
from dtool.run.loop import Walk
from dtool.run.path_noise import draw_path
from dtool.util.arguments import check_arguments

Sample = Callable[..., Any]


@check_arguments
def make_sampler(recipe: str, *, flow: bool = False, seed: int | None = None, noise: str | None = None) -> Sample:
    """The recipe as `sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None)`.

    recipe: SAMPLER[:k=v] alone, since the caller's sigmas say where the steps are. model(x, σ, **extra_args) is the
    denoised image of `x` `(B, *)`, a torch tensor, at σ `(B,)`; x begins at σ₀ times standard Gaussian noise. sigmas
    `(n + 1,)`: falling, 0 at the end or not; x = x0 + σ·ε, or with `flow` x = (1 - σ)·x0 + σ·ε. callback(dict): called
    once a step, with x, i, sigma, sigma_hat, denoised.
    noise_sampler(σ, σ_next): standard Gaussian noise like x; without it, torch.randn_like, or with a seed dtool's own,
    so that image i is that of `dtool.sample` with this seed; noise="path", with a seed: increments of one Brownian path
    an image, as `dtool.sample` has them. Raises UsageError for a recipe or sigmas that cannot be.
    """
    parsed = Recipe.parse(recipe)
    if parsed.scheduler is not None or parsed.spacing is not None or parsed.guidance is not None:
        raise UsageError(
            f"{recipe} says more than a sampler, and the sigmas are the caller's", f"use {parsed.rule.token}"
        )
    if parsed.rule.inverse:
        raise UsageError(f"{recipe} runs from images to noise", "run it with dtool.sample")
    of_path = require_own_noise(noise, seed)

    def sample(
        model: Callable[..., Any], x: Any, sigmas: Any, extra_args: Mapping[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], object] | None = None, disable: bool | None = None,
        noise_sampler: Callable[[Any, Any], Any] | None = None,
    ) -> Any:  # fmt: skip
        del disable  # the bar is the caller's
        plan = compile_rule(parsed.rule, make_points(sigmas, flow=flow), prediction="x0", recipe=recipe)
        drawn = _draw_noise(plan, x, sigmas, noise_sampler, seed, of_path=of_path)
        sizes = plan.alpha + plan.sigma if flow else plan.alpha
        return _run(plan, sizes, partial(model, **(extra_args or {})), x, sigmas, callback, drawn)

    sample.__name__ = f"sample_{parsed.rule.token}"
    return sample


sampler = make_sampler  # its short name, as those of `dtool.bridges.diffusers`


def make_points(sigmas: Any, *, flow: bool = False) -> tuple[Point, ...]:
    """The levels x = x0 + σ·ε of a caller's sigmas `(n + 1,)`, of `flow` (1 - σ)·x0 + σ·ε.

    Raises UsageError unless they are levels that fall.
    """
    values = [float(sigma) for sigma in sigmas]
    if len(values) < 2:
        raise UsageError(f"{len(values)} sigmas make no step", "give two or more, from noise to image")
    if not all(0 <= sigma < np.inf for sigma in values):
        raise UsageError("sigmas that are negative or no numbers", "give finite ones, 0 for the image")
    if flow and values[0] > 1:
        raise UsageError(f"a flow that begins at σ = {values[0]:g}", "its sigmas lie in 0 … 1")
    if any(now <= to for now, to in pairwise(values)):
        raise UsageError("sigmas that do not fall", "give each once, from noise to image")
    return tuple(Point(1 - sigma if flow else 1.0, sigma) for sigma in values)


def _run(
    plan: Plan, sizes: NDArray[np.float64], model: Callable[..., Any], x: Any, sigmas: Any,
    callback: Callable[[dict[str, Any]], object] | None, noise: Iterator[Any],
) -> Any:  # fmt: skip
    """x at the end. sizes `(rows,)`: what x is divided by for the model, since stages may lie in other coordinates."""
    walk, done = Walk(plan), 0
    ones = x.new_ones([x.shape[0]])
    for sigma, size in zip((plan.sigma / sizes).tolist(), sizes.tolist(), strict=True):
        denoised = model(x if size == 1 else x / size, sigma * ones)
        if walk.begins_step and callback is not None:
            level = sigmas[done]
            callback({"x": x, "i": done, "sigma": level, "sigma_hat": level, "denoised": denoised})
        x = walk.advance(x, denoised, noise)
        done += walk.begins_step
    return x


def _draw_noise(
    plan: Plan, x: Any, sigmas: Any, noise_sampler: Callable[[Any, Any], Any] | None, seed: int | None, *, of_path: bool
) -> Iterator[Any]:
    """c·z of each row that has noise."""
    import torch

    shape = tuple(x.shape)
    steps: NDArray[np.intp] = np.cumsum(plan.step_end) - plan.step_end  # of the rows
    path = draw_path(plan, lambda k: draw_own(seed or 0, shape, k)[None]) if of_path else None
    for row in np.flatnonzero(plan.c).tolist():
        step = int(steps[row])
        if noise_sampler is not None:
            z = noise_sampler(sigmas[step], sigmas[step + 1])
        elif path is not None:
            z = torch.from_numpy(next(path)).to(x)
        elif seed is not None:
            z = torch.from_numpy(draw_own(seed, shape, row + 1)).to(x)
        else:
            z = torch.randn_like(x)
        yield float(plan.c[row]) * z
