"""The spacings, each a few lines: where on a schedule the steps fall."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Array, Schedule
from dtool.schedulers.spacing import by_noise, rounded, spacing


@spacing("linspace", cite="arXiv:2010.02502, appendix D.2 (linear)")
def linspace(schedule: Schedule, n: int) -> list[int]:
    """Whole times, evenly from T-1 down to 0, both included."""
    last, gaps = schedule.T - 1, max(n - 1, 1)
    return [last - rounded(i * last, gaps) for i in range(n)]


@spacing("leading", cite="arXiv:2305.08891, table 2")
def leading(
    schedule: Schedule, n: int, *, offset: Annotated[int, Field(ge=0, description="added to every time")] = 0
) -> list[int]:
    """The first time of each of n equal stretches: ⌊iT/n⌋; ends at 0 and starts below T-1."""
    times = [i * schedule.T // n + offset for i in reversed(range(n))]
    if times[0] >= schedule.T:
        raise UsageError(f"leading: offset={offset} puts the first time beyond T-1", "use a smaller offset")
    return times


@spacing("trailing", cite="arXiv:2305.08891, table 2")
def trailing(schedule: Schedule, n: int) -> list[int]:
    """The last time of each of n equal stretches: round(T - iT/n) - 1, in exact arithmetic; starts at T-1."""
    return [rounded((n - i) * schedule.T, n) - 1 for i in range(n)]


@spacing("quadratic", cite="arXiv:2010.02502, appendix D.2 (quadratic)")
def quadratic(
    schedule: Schedule,
    n: int,
    *,
    reach: Annotated[float, Field(gt=0, le=1, description="fraction of T-1 to start from; DDIM's code: 0.8")] = 1.0,
) -> list[int]:
    """Times proportional to squares: dense near the image. Where two would coincide, the later ones move up by one."""
    top = reach * (schedule.T - 1)
    times = [0]
    for i in range(1, n):
        times.append(max(int(top * (i / (n - 1)) ** 2), times[-1] + 1))
    return times[::-1] if n > 1 else [int(top)]


@spacing("logsnr", cite="arXiv:2206.00927, section 3.4")
def logsnr(schedule: Schedule, n: int) -> Array:
    """Evenly in λ = log(α/σ), from the noisiest level to the cleanest; times are fractional."""
    return by_noise(schedule, n, lambda u, noisy, clean: noisy + u * (clean - noisy))


@spacing("karras", cite="arXiv:2206.00364, eq. 5")
def karras(
    schedule: Schedule, n: int, *, rho: Annotated[float, Field(gt=0, description="larger: denser near the image")] = 7.0
) -> Array:
    """Evenly in (σ/α)^(1/ρ), from the noisiest level to the cleanest; times are fractional."""

    def place(u: Array, noisy: float, clean: float) -> Array:
        high, low = np.exp(-noisy / rho), np.exp(-clean / rho)
        return np.asarray(-rho * np.log(high + u * (low - high)))

    return by_noise(schedule, n, place)


@spacing("list")
def explicit(
    schedule: Schedule, n: int, *, times: Annotated[str, Field(description="falling times with ; between them")]
) -> Array:
    """Your own times, e.g. list:times=999;750;500;250."""
    try:
        values = np.array([float(part) for part in times.split(";")])
    except ValueError as error:
        raise UsageError(f"list: cannot read the times {times!r}", "write list:times=999;750;500;250") from error
    if values.size != n:
        raise UsageError(f"list: {values.size} times were given for {n} steps", f"use --steps {values.size}")
    if values.max() > schedule.T - 1 or values.min() < 0:
        raise UsageError(f"list: times must lie in 0 … {schedule.T - 1}", "times count training steps from 0")
    return values
