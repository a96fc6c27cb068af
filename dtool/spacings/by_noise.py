"""Spacings by noise: evenly in some function of σ/α."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import by_noise, find_times
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array

Rho = Annotated[float, Field(gt=0, description="larger: denser near the image")]


@by_noise("logsnr", cite="arXiv:2206.00927, section 3.4")
def logsnr(u: Array, high: float, low: float) -> Array:
    """Evenly in λ = log(α/σ), from the noisiest level to the cleanest: σ/α is a geometric sequence.

    Also called exponential (k-diffusion, diffusers) and lu (diffusers' use_lu_lambdas, with network_time=round; its
    use_exponential_sigmas is network_time=floor in DPM-Solver++). Times are fractional.
    """
    return np.asarray(np.exp((1 - u) * np.log(high) + u * np.log(low)))


@by_noise("karras", cite="arXiv:2206.00364, eq. 5")
def karras(u: Array, high: float, low: float, *, rho: Rho = 7.0) -> Array:
    """Evenly in (σ/α)^(1/ρ), from the noisiest level to the cleanest; times are fractional.

    EDM's and k-diffusion's own grids have other ends: sigma_min and sigma_max. diffusers rounds the network's time for
    DPM-Solver++ (network_time=round), and for Euler takes the ends from its spacing by time (over=leading…).
    """
    first, last = high ** (1 / rho), low ** (1 / rho)
    return np.asarray((first + u * (last - first)) ** rho)


@by_noise("polyexponential", cite="k-diffusion, get_sigmas_polyexponential")
def polyexponential(u: Array, high: float, low: float, *, rho: Rho = 1.0) -> Array:
    """log(σ/α) goes as a power of the steps that are left; ρ = 1 is logsnr. Times are fractional."""
    return np.asarray(np.exp((1 - u) ** rho * (np.log(high) - np.log(low)) + np.log(low)))


@by_noise("kl-optimal", cite="arXiv:2404.14507, section 3.1")
def kl_optimal(u: Array, high: float, low: float) -> Array:
    """Evenly in the angle arctan(σ/α): best for Gaussian data of unit variance. Times are fractional."""
    return np.asarray(np.tan((1 - u) * np.arctan(high) + u * np.arctan(low)))


@spacing("linear-quadratic", cite="Mochi 1, code; arXiv:2410.13720, section 3.4.2")
def linear_quadratic(
    schedule: Schedule,
    n: int,
    *,
    threshold: Annotated[float, Field(gt=0, lt=1, description="how far the linear half goes, as a share of σ")] = 0.025,
) -> Array:
    """On a straight flow: half of the steps linear and tiny, down to σ = 1 - 0.025, the others quadratic.

    σ here is σ/(α+σ), whatever the schedule's coordinates, and its top is the schedule's. Times are fractional.
    """
    half = n // 2
    if half and threshold * n / half >= 1:
        raise UsageError(f"linear-quadratic: threshold={threshold} is too large for {n} steps", "use a smaller one")
    i = np.arange(n + 1, dtype=np.float64)
    # From (half, threshold) with the slope of the linear half, the parabola that comes to 1 at n.
    slope, rest = (threshold / half, n - half) if half else (0.0, n)
    start = threshold if half else 0.0
    past = i - half
    done = np.where(past < 0, slope * i, start + slope * past + (1 - start - slope * rest) * (past / rest) ** 2)
    top = schedule.sigma[-1] / (schedule.alpha[-1] + schedule.sigma[-1])
    level = top * (1 - done[:n])
    with np.errstate(divide="ignore"):
        return find_times(schedule, level / (1 - level))
