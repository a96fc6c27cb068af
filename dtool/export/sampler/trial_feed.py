"""Trial conditions as a sampler's file takes them, and how far what it draws is from something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from dtool.onnx.sampler_inputs import name_without
from dtool.run.sampler_file import FusedNetwork

DistanceFunction = Callable[[NDArray[Any], NDArray[Any]], float]


def take_changeable(file: FusedNetwork, without: dict[str, Any]) -> dict[str, Any]:
    """Of what guidance compares with, what this file can be told; the rest is constant in it."""
    return {name: array for name, array in without.items() if name_without(name) in file.inputs.takes}


def feed_trial(file: FusedNetwork, told: dict[str, Any], images: slice) -> dict[str, NDArray[Any]]:
    """The same conditions, of these images, as the file's own inputs; where it need not be guided, something."""
    given = told.get("conditions", {})
    without = take_changeable(file, told.get("without", given))
    feed = given | {name_without(name): array for name, array in without.items()}
    return {name: array[images] for name, array in feed.items()}
