"""Restart: go back up to an earlier level of noise, and down again, several times."""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.levels import compute_v
from dtool.schedulers.schedule import Schedule
from dtool.spacings.by_noise import karras
from dtool.spacings.spacing import SpacingName, resolve_spacing, spacing

_HINT = "write STEPSxROUNDSxLOWxHIGH, e.g. 3x2x0.06x0.3, with ; between several"


@spacing("restart", cite="arXiv:2306.14878, algorithm 1", rises=True)
def restart(
    schedule: Schedule,
    n: int,
    *,
    intervals: Annotated[
        str, Field(description="steps x rounds x lowest x highest σ/α, as 3x2x0.06x0.3; ; between several")
    ] = "3x2x0.06x0.3",
    base: Annotated[SpacingName, Field(description="the spacing that it interrupts")] = "karras",
    rho: Annotated[float, Field(gt=0, description="Karras's, for the steps inside an interval")] = 7.0,
) -> list[float]:
    """On the way down, noise is added to get from σ/α = 0.06 back to 0.3 and 3 steps lead down again, twice.

    n counts every step: those of the base and those inside the intervals, rounds × steps for each. An interval begins
    at the level of the base nearest to its lowest; its highest is exact. The steps inside are Karras's. It works over
    any deterministic rule; multistep rules begin their history anew at each restart.
    """
    inside = [_parse_interval(text) for text in intervals.split(";")]
    count = n - sum(steps * rounds for steps, rounds, _, _ in inside)
    if count < 2:
        raise UsageError(
            f"restart: {n - count} of {n} steps are inside the intervals, and the base needs two",
            f"use at least {n - count + 2} steps, or fewer or smaller intervals",
        )
    main = resolve_spacing(base)(schedule, count)
    v = compute_v(*schedule.level(main))
    detours: dict[int, list[float]] = {}
    for steps, rounds, low, high in inside:
        at = int(np.argmin(np.abs(v - low)))
        if at == 0 or v[at] >= high:
            raise UsageError(
                f"restart: no level of {count} base steps lies below σ/α={high:g} of the interval", "use more steps"
            )
        down = np.asarray(karras.function(schedule, steps + 1, rho=rho, sigma_max=high, sigma_min=float(v[at])))[:-1]
        detours.setdefault(at, []).extend([*down.tolist(), float(main[at])] * rounds)
    path: list[float] = []
    for i, time in enumerate(main):
        path += [float(time), *detours.get(i, ())]
    return path


def _parse_interval(text: str) -> tuple[int, int, float, float]:
    match = re.fullmatch(r"(\d+)x(\d+)x([\d.]+)x([\d.]+)", text)
    try:
        steps, rounds, low, high = match.groups() if match else ("", "", "", "")
        interval = int(steps), int(rounds), float(low), float(high)
    except ValueError as error:
        raise UsageError(f"restart: cannot read the interval {text!r}", _HINT) from error
    if interval[0] < 1 or not interval[2] < interval[3]:
        raise UsageError(f"restart: the interval {text!r} has no step down", _HINT)
    return interval
