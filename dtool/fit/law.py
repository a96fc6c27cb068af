"""Stochastic plans, fitted to the law: times and extrapolations, while every row keeps the forward process's marginals.

    D̃ = D_i + e_i·(D_i - D_{i-1}),   x_{i+1} = α'·D̃ + σ'·(√(1 - τ_i)·(x_i - α·D̃)/σ + √τ_i·z),   τ_i = η²·τ of DDPM

For a constant image D̃ is the image, and the noise in x_{i+1} has variance σ'² exactly, whatever e_i and the times are:
the marginals are a constraint, and no hope. The last row is D̃. What is lowered is the sliced Wasserstein distance to
the teacher's images: sorted projections less sorted projections, a residual like any other for Gauss-Newton steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dtool.fit.damping import Damping, solve_damped
from dtool.fit.field import Field
from dtool.fit.noises import Noises
from dtool.fit.search import REACH, STEP
from dtool.fit.starts import separate
from dtool.fit.table import FitTable
from dtool.metrics.sliced import draw_directions
from dtool.util.arrays import Array

DIRECTIONS = 96  # of the projections
MOST = 1.5  # of an extrapolation


@dataclass(frozen=True, kw_only=True)
class LawTable:
    """Times `(n,)`, the first one the schedule's start, extrapolations `(n,)`, and η, the share of DDPM's noise."""

    lam: Array
    extrapolation: Array
    eta: float

    def to_rows(self, network_field: Field) -> tuple[FitTable, Array]:
        """The rows with images in their history, and the standard deviation of each one's fresh noise `(n,)`."""
        n = len(self.lam)
        levels = np.array([network_field.locate(lam)[1:] for lam in self.lam] + [(1.0, 0.0)])
        a, b, c = np.zeros(n), np.zeros((n, min(2, n))), np.zeros(n)
        for i, ((alpha, sigma), (alpha_to, sigma_to)) in enumerate(pairwise(levels)):
            tau = self.eta**2 * (1 - (alpha * sigma_to / (alpha_to * sigma)) ** 2)
            a[i] = sigma_to * np.sqrt(1 - tau) / sigma
            share, past = alpha_to - a[i] * alpha, self.extrapolation[i] if i else 0.0
            b[i, 0] = share * (1 + past)
            if i:
                b[i, 1] = -share * past
            c[i] = sigma_to * np.sqrt(tau)
        return FitTable(lam=self.lam, a=a, b=b), c


@dataclass(kw_only=True)
class LawSearch:
    """The search on some noises, towards the law of `images` `(n, *shape)`; fresh `(rows, n, *shape)`: the rows' noise.

    on_step(table, distance): told the best so far. should_stop(): asked before every step.
    """

    network_field: Field
    noises: Noises
    fresh: Array
    images: Array
    should_stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        size = self.images[0].size
        self._directions = draw_directions(size, DIRECTIONS)
        self._wanted = self._project(self.images)

    def draw(self, table: LawTable) -> Array:
        """The images of a table."""
        rows, noise = table.to_rows(self.network_field)
        _, alpha, sigma = self.network_field.locate(rows.lam[0])
        x, entries = np.hypot(alpha, sigma) * self.noises.z, []
        for i in range(rows.calls):
            entries.append(self.network_field.predict(x, rows.lam[i], self.noises))
            x = rows.combine(i, x, entries) + noise[i] * self.fresh[i]
        return np.asarray(x)

    def measure(self, table: LawTable) -> tuple[float, Array]:
        """(the sliced Wasserstein distance, the residual) of a table's images."""
        residual = (self._project(self.draw(table)) - self._wanted).reshape(-1)
        return float(np.sqrt((residual**2).mean())), residual

    def improve(self, table: LawTable, jacobians: int, judge: Callable[[LawTable, float], None]) -> None:
        """At most so many steps; judge(table, distance) is told of every better table."""
        distance, residual = self.measure(table)
        judge(table, distance)
        damping = Damping()
        for _ in range(jacobians):
            if self.should_stop():
                return
            columns = [self._differentiate(table, residual, k) for k in range(count_numbers(table))]
            for level in damping.levels():
                change = np.clip(solve_damped(np.stack(columns), residual, level), -REACH, REACH)
                moved = self._move(table, change)
                trial, after = self.measure(moved)
                if damping.judge(level, trial < distance):
                    table, distance, residual = moved, trial, after
                    judge(table, distance)
                    break
            else:
                return

    def _differentiate(self, table: LawTable, residual: Array, k: int) -> Array:
        change = np.zeros(count_numbers(table))
        change[k] = 2 * STEP
        return (self.measure(self._move(table, change))[1] - residual) / (2 * STEP)

    def _move(self, table: LawTable, change: Array) -> LawTable:
        """The table with its later times and extrapolations moved; the first time stays."""
        n = len(table.lam)
        lam, past = table.lam.copy(), table.extrapolation.copy()
        lam[1:] += change[: n - 1]
        past[1:] = np.clip(past[1:] + change[n - 1 :], -MOST, MOST)
        lam[1:] = separate(lam[1:], lam[0] + STEP, self.network_field.bound()[1]) if n > 1 else lam[1:]
        return replace(table, lam=lam, extrapolation=past)

    def _project(self, images: Array) -> Array:
        """Sorted projections `(directions, n)`."""
        return np.sort((images.reshape(len(images), -1) @ self._directions).T, axis=1)


def count_numbers(table: LawTable) -> int:
    """How many numbers of a table are chosen."""
    return 2 * (len(table.lam) - 1)
