"""Noise on what a network is told, at the level that it is told of: conditioning augmentation when it samples.

A network that was trained on low = √(1 - s²)·y + s·z, and told s, is to be given such a picture where s is above 0
(arXiv:2106.15282, section 4.2): its own mistakes, or those of the network before it, are then below the noise.
z is the generator's of `dtool.run.noise`, the last draw that fits into an image's counters: a run's own draws are the
first ones, and the same bits come from the same seed and id in any batch, on every backend and in a sampler's file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.conditions import Condition, ConditionPair, Conditions
from dtool.models.spec import NetworkSpec
from dtool.run.noise import normals, number_last_draw

HIGHEST = 0.99  # at 1 nothing is left of what is told


def find_noised(spec: NetworkSpec) -> tuple[Condition, ...]:
    """The conditions that noise is put on."""
    return tuple(one for one in spec.conditions if one.noised_by is not None)


def add_condition_noise(
    spec: NetworkSpec, told: ConditionPair | None, seed: int, ids: NDArray[np.uint64]
) -> ConditionPair | None:
    """What the images with these ids are told, and what guidance compares with, each with the noise of its own level.

    Raises UsageError for a level outside 0 … 0.99.
    """
    if told is None or not find_noised(spec):
        return told
    without = None if told.without is None else _add_noise(spec, told.without, seed, ids)
    return ConditionPair(_add_noise(spec, told.given, seed, ids), without)


def _add_noise(spec: NetworkSpec, told: Conditions, seed: int, ids: NDArray[np.uint64]) -> Conditions:
    noised = dict(told)
    for one in find_noised(spec):
        assert one.noised_by is not None, "what find_noised means"
        level = np.asarray(told[one.noised_by], np.float32)
        require_level(one.noised_by, level)
        if not level.any():
            continue
        shape = np.shape(told[one.name])[1:]
        z = normals(seed, ids, number_last_draw(shape), shape)[0]
        share = level.reshape(-1, *[1] * len(shape))
        noised[one.name] = np.sqrt(1 - share * share) * told[one.name] + share * z
    return noised


def require_level(name: str, level: NDArray[np.float32] | float) -> None:
    """Raise UsageError unless every level of noise is in 0 … 0.99."""
    if not np.all((np.asarray(level) >= 0) & (np.asarray(level) <= HIGHEST)):
        raise UsageError(
            f"{name} is {np.asarray(level).reshape(-1)[0]:g}, and it is a level of noise", f"give 0 to {HIGHEST:g}"
        )
