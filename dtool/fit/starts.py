"""Where a search begins: times by several recipes, from the start of the schedule and late, as λ = log(α/σ)."""

from __future__ import annotations

import warnings

import numpy as np

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.schedulers.levels import compute_lam
from dtool.spacings import get_spacing
from dtool.util.arrays import Array

SPACINGS = ("trailing", "karras", "logsnr", "quadratic", "sgm-uniform", "beta")
# Times that a search found for networks of pictures, as λ: 743, 540, 434, 286, 77 on the linear schedule of DDPM. Of
# another number of calls they are read off the line through them.
FOUND = (-2.7563, -1.3747, -0.8085, -0.0303, 1.5286)
LATE = (-2.4, -2.9, -3.6, -4.2)  # λ at which the named spacings begin late
GAP = 0.02  # the least distance of two times in λ


def list_starts(network: Network, calls: int) -> list[Array]:
    """Times `(calls,)` to begin a search at, rising in λ, each at least GAP after the one before."""
    schedule = network.schedule
    finite = np.isfinite(schedule.lam)
    low, high = float(schedule.lam[finite][-1]), float(schedule.lam[0])
    found = []
    for name in SPACINGS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                times, _, _ = get_spacing(name).place_times(schedule, calls)
        except UsageError:  # this number of steps is none of its
            continue
        lam = compute_lam(*schedule.level(np.clip(times, 0, schedule.T - 1)))
        found.append(np.clip(lam, low, high))
    place = np.linspace(0, 1, calls) if calls > 1 else np.array([0.5])
    line = np.interp(place, np.linspace(0, 1, len(FOUND)), FOUND)
    found.append(line)
    found += [np.linspace(first, line[-1], calls) for first in LATE[:2]]
    for first in LATE[1:]:
        # The line, with its beginning drawn out: more calls begin earlier.
        stretched = line + (first - line[0]) * (1 - place) ** 2
        found.append(stretched)
    return [separate(np.clip(lam, low, high), low, high) for lam in found]


def separate(lam: Array, low: float, high: float, gap: float = GAP) -> Array:
    """Times in rising order within [low, high], each at least `gap` after the one before."""
    lam = np.sort(lam)
    gap = min(gap, (high - low) / (2 * len(lam)))
    for i in range(len(lam)):
        lam[i] = max(lam[i], low + i * gap if i == 0 else lam[i - 1] + gap)
    for i in range(len(lam) - 1, -1, -1):
        lam[i] = min(lam[i], high - (len(lam) - 1 - i) * gap)
    return lam
