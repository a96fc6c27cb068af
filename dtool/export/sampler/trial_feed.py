"""Trial conditions as a sampler's file takes them, and how far what it draws is from something else."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.onnx.sampler_inputs import name_without
from dtool.run.sampler_edits import SHARE
from dtool.run.sampler_file import FusedNetwork

DistanceFunction = Callable[[NDArray[Any], NDArray[Any]], float]


def make_trial_edit(file: FusedNetwork, count: int, *, masked: bool, steps: int | None = None) -> dict[str, Any]:
    """The options of `dtool.sample` for an edit of so many images, as far as the file can be told them.

    steps: how many are taken, if the file can be told; by default two thirds, or with a mask all.
    """
    random, shape = np.random.default_rng(4), file.spec.shape
    low, high = file.edited_range or (-1.0, 1.0)
    options: dict[str, Any] = {"image": random.uniform(low, high, (count, *shape)).astype(np.float32)}
    if masked:
        options["mask"] = (random.permutation(prod(shape[1:])) % 2).reshape(1, *shape[1:]).astype(np.float32)
    if SHARE in file.inputs.takes and (steps is not None or not masked):
        options["strength"] = (max(1, 2 * file.plan.steps // 3) if steps is None else steps) / file.plan.steps
    return options


def take_changeable(file: FusedNetwork, without: dict[str, Any]) -> dict[str, Any]:
    """Of what guidance compares with, what this file can be told; the rest is constant in it."""
    return {name: array for name, array in without.items() if name_without(name) in file.inputs.takes}


def feed_trial(file: FusedNetwork, told: dict[str, Any], images: slice) -> dict[str, NDArray[Any]]:
    """The same conditions, of these images, as the file's own inputs; where it need not be guided, something."""
    given = told.get("conditions", {})
    without = take_changeable(file, told.get("without", given))
    feed = given | {name_without(name): array for name, array in without.items()}
    return {name: array[images] for name, array in feed.items()}
