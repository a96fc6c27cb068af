"""The images that a fit is made on, stopped by and judged on: sets of noises that have nothing in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.models.conditions import LABEL, ConditionPair
from dtool.models.network import Network
from dtool.run.guided_conditions import Request, resolve_conditions
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.util.arrays import Array

# Seeds of fits begin where nobody's pictures do: those that a user draws are then never what a table was fitted on.
FIRST_SEED = 1 << 40
ENOUGH = 4  # times as many images as an image has numbers
SETS = {"training": 0, "validation": 1 << 20, "judging": 1 << 21, "drawing": 3 << 20}  # the first image of each
EXACT = ("training", "validation")  # whose first two moments are made exact, where that hardly changes them


@dataclass(frozen=True, kw_only=True)
class Noises:
    """Some images of a seed: their starts, and what the network is told of each.

    z: `(n, *shape)` float64, standard normal: a run begins at it times the plan's initial scale. options: what
    `dtool.sample` is told of the same images.
    """

    seed: int
    ids: tuple[int, ...]
    z: Array
    conditions: ConditionPair | None
    options: dict[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, part: slice) -> Noises:
        """Some of them."""
        options = {name: _take(values, part) for name, values in self.options.items()}
        pair = self.conditions and self.conditions.take(part)
        return Noises(seed=self.seed, ids=self.ids[part], z=self.z[part], conditions=pair, options=options)


def draw_noises(
    network: Network,
    kind: str,
    n: int,
    *,
    seed: int,
    scale: float,
    labels: Sequence[int] | None = None,
    told: RepeatedConditions = NOTHING_TOLD,
) -> Noises:
    """The first n images of a set, "training", "validation", "judging" or "drawing".

    seed: of the fit. scale: of the guidance, 1 for none. labels: the classes that the images have in turn, by default
    all of the network's; told: the same of other conditions. Where there are many more images than numbers in one, the
    first two moments of the noises of training and validation are made exact: what is fitted is then not a matter of
    which they are.
    """
    ids = tuple(range(SETS[kind], SETS[kind] + n))
    options: dict[str, Any] = dict(told.take(np.array(ids), compared=scale != 1 and not network.is_autoguided))
    if labels is not None:
        options["labels"] = [labels[i % len(labels)] for i in ids]
    request = Request(
        labels=options.get("labels"), conditions=options.get("conditions"), without=options.get("without"),
        guidance=scale, weak=network.is_autoguided,
    )  # fmt: skip
    conditions, _, _ = resolve_conditions(network, request, ids, n)
    names: NDArray[np.uint64] = np.array(ids, np.uint64)
    z = network.numpy(network.noise(FIRST_SEED + seed, names, 1)(0)[0]).astype(np.float64)
    if kind in EXACT and n >= ENOUGH * z[0].size:
        z = match_moments(z)
    if conditions is not None and LABEL in conditions.given:
        options["labels"] = conditions.given[LABEL].tolist()
    return Noises(seed=FIRST_SEED + seed, ids=ids, z=z, conditions=conditions, options=options)


def draw_fresh(network: Network, noises: Noises, draws: int) -> Array:
    """The noise that a stochastic run on these images adds, `(draws, n, *shape)`: none that their starts are."""
    names: NDArray[np.uint64] = np.array(noises.ids, np.uint64)
    return np.asarray(network.numpy(network.noise(noises.seed, names, draws + 1)(0))[1:], np.float64)


def match_moments(z: Array) -> Array:
    """The noises moved and turned as little as makes their mean 0 and their covariance 1."""
    flat = z.reshape(len(z), -1)
    flat = flat - flat.mean(axis=0)
    values, axes = np.linalg.eigh(flat.T @ flat / len(flat))
    return np.asarray((flat @ (axes / np.sqrt(values)) @ axes.T).reshape(z.shape))


def _take(values: Any, part: slice) -> Any:
    if isinstance(values, dict):
        return {name: array[part] for name, array in values.items()}
    return values[part]
