"""The optimal network of a Gaussian law, and recipes of every kind to run it with."""

from typing import Any

import dtool

RECIPES = ["ddpm:sigma=beta", "ddpm", "ddpm:sigma=none", "ddim", "ddim:eta=0.6", "euler", "heun", "dpmpp-2m/karras"]

SHAPE = (2, 3)


def gaussian_eps(mean: float = 0.3, variance: float = 0.25, schedule: str = "linear") -> Any:
    """The optimal eps network for data N(mean, variance I): σ(x - αm)/(α²v + σ²)."""
    levels = dtool.get_scheduler(schedule)

    def fn(x: Any, t: Any) -> Any:
        alpha, sigma = (a.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype) for a in levels.level(t))
        return sigma * (x - alpha * mean) / (alpha**2 * variance + sigma**2)

    return fn
