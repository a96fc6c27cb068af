"""A table while it is fitted: times and rows, and the states of a run that are kept when some of them change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.fit.field import Field
from dtool.fit.noises import Noises
from dtool.util.arrays import Array


@dataclass(frozen=True, kw_only=True)
class FitTable:
    """x_{i+1} = a_i·x_i + Σ_k b_ik·m_{i-k}, m_i what the network predicts from x_i at λ_i.

    lam, a: `(n,)`; b: `(n, history)`, zero where there is no prediction yet.
    """

    lam: Array
    a: Array
    b: Array

    @property
    def calls(self) -> int:
        """n, the network calls of an image."""
        return len(self.lam)

    def combine(self, i: int, x: Array, entries: list[Array]) -> Array:
        """x_{i+1} from x_i and the entries m_0 … m_i."""
        after = self.a[i] * x
        for back in range(min(self.b.shape[1], i + 1)):
            after = after + self.b[i, back] * entries[i - back]
        return np.asarray(after)


@dataclass(kw_only=True)
class Walk:
    """A run of a table on some noises: x_0 … x_n and m_0 … m_{n-1}, as far as they are known."""

    states: list[Array]
    entries: list[Array] = field(default_factory=list)

    @property
    def images(self) -> Array:
        """x_n `(images, *shape)`."""
        return self.states[-1]

    def keep(self, entries: int) -> Walk:
        """This walk up to so many entries and the states that those were predicted from; the first state always."""
        return Walk(states=self.states[: max(entries, 1)], entries=self.entries[:entries])


def begin_walk(network_field: Field, noises: Noises, lam: float) -> Walk:
    """A walk that has its first state: the noise, as large as x is at λ, whose level is named to the network."""
    _, alpha, sigma = network_field.locate(lam)
    return Walk(states=[np.hypot(alpha, sigma) * noises.z])


def run_table(network_field: Field, table: FitTable, noises: Noises, before: Walk | None = None) -> Walk:
    """The walk of a table; before: what is known of it already, which no difference of the table has touched."""
    walk = begin_walk(network_field, noises, table.lam[0]) if before is None or not before.entries else before
    states, entries = list(walk.states), list(walk.entries)
    for i in range(table.calls):
        if len(states) == i:
            states.append(table.combine(i - 1, states[i - 1], entries))
        if len(entries) == i:
            entries.append(network_field.predict(states[i], table.lam[i], noises))
    states.append(table.combine(table.calls - 1, states[-1], entries)) if len(states) == table.calls else None
    return Walk(states=states, entries=entries)


def measure_rmse(images: Any, target: Any) -> float:
    """The root mean square difference of two arrays of images."""
    return float(np.sqrt(np.mean((np.asarray(images, np.float64) - np.asarray(target, np.float64)) ** 2)))
