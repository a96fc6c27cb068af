"""Spacings by time: where among the training steps the steps fall."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import find_times
from dtool.spacings.spacing import round_ratio, spacing
from dtool.util.arrays import Array
from dtool.util.file_references import FileName
from dtool.util.number_files import read_numbers

Compat = Annotated[
    Literal["none", "diffusers", "diffusers-multistep"],
    Field(description="the other library's own times; multistep: its DPM-Solver, UniPC, DEIS and SA-Solver classes"),
]
Times = Annotated[str, Field(description="falling times with ; between them (or, in quotes, commas)")]
TimesFile = Annotated[FileName, Field(description=".npy, .json (a list) or text, one number per line or commas")]
Unit = Annotated[Literal["t", "v"], Field(description="what the numbers are: times, or levels σ/α")]


@spacing("linspace", cite="arXiv:2010.02502, appendix D.2 (linear)")
def linspace(schedule: Schedule, n: int, *, compat: Compat = "none") -> ArrayLike:
    """Whole times, evenly from T-1 down to 0, both included.

    compat=diffusers rounds the other way where a time lies half-way, and has t = 0 alone for one step;
    compat=diffusers-multistep places n + 1 and leaves out the last.
    """
    last, gaps = schedule.T - 1, max(n - 1, 1)
    if compat == "diffusers":
        return np.linspace(0, last, n).round()[::-1]
    if compat == "diffusers-multistep":
        return _require_distinct("linspace", np.linspace(0, last, n + 1).round()[::-1], n)
    return [last - round_ratio(i * last, gaps) for i in range(n)]


@spacing("leading", cite="arXiv:2305.08891, table 2")
def leading(
    schedule: Schedule,
    n: int,
    *,
    offset: Annotated[int, Field(ge=0, description="added to every time; Stable Diffusion in diffusers: 1")] = 0,
    compat: Compat = "none",
) -> ArrayLike:
    """The first time of each of n equal stretches: ⌊iT/n⌋; ends at 0 and starts below T-1.

    compat=diffusers has stretches of ⌊T/n⌋, so that up to half of the noisy end is left out where n does not divide T;
    compat=diffusers-multistep of ⌊T/(n+1)⌋, without the first of them.
    """
    if compat == "diffusers-multistep":
        times = np.arange(n + 1)[::-1] * (schedule.T // (n + 1)) + offset
        return _require_distinct("leading", _require_within(times, offset, schedule), n)
    stretch = schedule.T // n
    times = np.array([i * schedule.T // n if compat == "none" else i * stretch for i in reversed(range(n))])
    return _require_within(times + offset, offset, schedule)


def _require_within(times: NDArray[np.int_], offset: int, schedule: Schedule) -> NDArray[np.int_]:
    if times[0] >= schedule.T:
        raise UsageError(f"leading: offset={offset} puts the first time beyond T-1", "use a smaller offset")
    return times


def _require_distinct(name: str, times: NDArray[Any], n: int) -> ArrayLike:
    if (np.diff(times)[: n - 1] >= 0).any():
        raise UsageError(f"{name}: diffusers has the same time twice for {n} steps", "use fewer steps or leave compat")
    return times


@spacing("trailing", cite="arXiv:2305.08891, table 2")
def trailing(
    schedule: Schedule,
    n: int,
    *,
    whole: Annotated[bool, Field(description="round to whole times; flows need not")] = True,
    compat: Compat = "none",
) -> ArrayLike:
    """The last time of each of n equal stretches: round(T - iT/n) - 1, in exact arithmetic; starts at T-1.

    With whole=false, on a flow, σ = 1, 1 - 1/n, … 1/n, as Flux. compat=diffusers computes in floats, which rounds
    otherwise where a time lies half-way, and leaves out the time too many that it has for 62 step counts of 1,000.
    """
    if not whole:
        return schedule.T - np.arange(n) * (schedule.T / n) - 1
    if compat != "none":
        return np.arange(schedule.T, 0, -schedule.T / n).round()[:n] - 1
    return [round_ratio((n - i) * schedule.T, n) - 1 for i in range(n)]


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


@spacing("normal", cite="k-diffusion, get_sigmas")
def normal(
    schedule: Schedule,
    n: int,
    *,
    compat: Annotated[
        Literal["none", "diffusers"], Field(description="on a flow: end where its FlowMatchEuler, shifted twice, does")
    ] = "none",
) -> Array:
    """Fractional times, evenly from T-1 down to 0, both included: linspace without rounding.

    diffusers shifts a flow's cleanest σ a second time when it places the steps; compat=diffusers does so too.
    """
    last = schedule.T * schedule.sigma[0] - 1 if compat == "diffusers" and schedule.coordinates == "flow" else 0.0
    return np.linspace(schedule.T - 1, last, n)


@spacing("sgm-uniform", cite="Stability AI's generative-models, code")
def sgm_uniform(schedule: Schedule, n: int) -> Array:
    """Fractional times, evenly from T-1 down to 0, without 0: n + 1 are placed, and the last is left out."""
    return np.linspace(schedule.T - 1, 0, n + 1)


@spacing("simple", cite="ComfyUI, simple_scheduler")
def simple(schedule: Schedule, n: int) -> list[int]:
    """Whole times T-1-⌊iT/n⌋: trailing, rounded up always."""
    return [schedule.T - 1 - i * schedule.T // n for i in range(n)]


@spacing("ddim-uniform", cite="ComfyUI, ddim_scheduler")
def ddim_uniform(schedule: Schedule, n: int) -> ArrayLike:
    """Whole times 1 + i⌊T/n⌋: leading, as latent diffusion has it.

    Where the original would place another number of times than it was asked for, this is refused.
    """
    stretch = max(schedule.T // n, 1)
    times = np.arange(1, schedule.T, stretch)[::-1]
    if times.size != n:
        raise UsageError(
            f"ddim-uniform: there are {times.size} times, not {n}, at every {stretch}th of {schedule.T}",
            f"use --steps {times.size}, or leading" if times.size else "use leading",
        )
    return times


@spacing("lcm", cite="arXiv:2310.04378, section 5.3 and code")
def lcm(
    schedule: Schedule,
    n: int,
    *,
    origin: Annotated[int, Field(ge=1, description="how many times the network was distilled at")] = 50,
) -> ArrayLike:
    """n of the 50 times k⌊T/50⌋ - 1 that a latent consistency model knows, evenly from the noisiest down."""
    origin = min(origin, schedule.T)
    if n > origin:
        raise UsageError(f"lcm: {n} of the {origin} times are not to be had", f"use at most {origin} steps")
    origins = np.arange(1, origin + 1)[::-1] * (schedule.T // origin) - 1
    return origins[[i * origin // n for i in range(n)]]


@spacing("list")
def explicit(schedule: Schedule, n: int, *, times: Times, unit: Unit = "t") -> Array:
    """Your own times, e.g. list:times=999;750;500;250, or levels σ/α, e.g. list:unit=v,times=14.6;3;0.5.

    One number more than there are steps is where end=sigma_min ends.
    """
    try:
        values = np.array([float(part) for part in re.split(r"[;,]", times)])
    except ValueError as error:
        raise UsageError(f"list: cannot read the times {times!r}", "write list:times=999;750;500;250") from error
    return _check_given_times("list", schedule, n, values, unit)


@spacing("file")
def file(schedule: Schedule, n: int, *, path: TimesFile, unit: Unit = "t") -> Array:
    """Your own times, or levels σ/α, from a file, the noisiest first: as many as there are steps.

    One number more than there are steps is where end=sigma_min ends.
    """
    return _check_given_times("file", schedule, n, read_numbers(Path(path), "times"), unit)


def _check_given_times(name: str, schedule: Schedule, n: int, values: Array, unit: str) -> Array:
    if values.size not in (n, n + 1):
        raise UsageError(f"{name}: {values.size} times were given for {n} steps", f"use --steps {values.size}")
    if unit == "v":
        return find_times(schedule, values)
    if not ((values >= 0) & (values <= schedule.T - 1)).all():
        raise UsageError(f"{name}: times must lie in 0 … {schedule.T - 1}", "times count training steps from 0")
    return values


@spacing("smoothstep", cite="stable-diffusion.cpp, code: its scheduler of this name")
def smoothstep(schedule: Schedule, n: int) -> ArrayLike:
    """Times (T-1)·u²(3 - 2u) at u = 1, 1 - 1/n, … 1/n: dense at both ends, close to `beta`; times are fractional.

    stable-diffusion.cpp's are these rounded to whole times.
    """
    u = 1 - np.arange(n) / n
    return np.asarray((schedule.T - 1) * u * u * (3 - 2 * u))
