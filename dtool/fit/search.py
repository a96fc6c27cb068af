"""Times: damped Gauss-Newton steps on the images' error, with the rows fitted again at every trial of times.

The error is that of the table's own runs at their end. A trial that moves time i keeps the walk up to there: it costs
the calls from i on. No gradient of the network is taken: a column of the Jacobian is the difference of two runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dtool.fit.damping import Damping, solve_damped
from dtool.fit.field import Field, flatten
from dtool.fit.noises import Noises
from dtool.fit.rows import fit_rows
from dtool.fit.starts import separate
from dtool.fit.table import FitTable, Walk, measure_rmse
from dtool.fit.teacher import Teacher
from dtool.util.arrays import Array

STEP = 0.02  # of λ, for a difference
REACH = 0.8  # by how much a time moves at most in one step, in λ
LEAST_GAIN = 2e-3  # of the error in a step, below which a search ends
COMPARED = 3  # of the starts, whose searches are begun
FIRST_STEPS = 2  # of those that are begun


@dataclass(frozen=True)
class Found:
    """A table with its walk and its error on the noises that it was fitted on."""

    table: FitTable
    walk: Walk
    rmse: float


@dataclass(kw_only=True)
class TimeSearch:
    """The search for times with rows of at most `history` predictions.

    should_stop(): asked before every step. on_step(rmse): told the best error so far.
    """

    network_field: Field
    teacher: Teacher
    noises: Noises
    history: int
    should_stop: Callable[[], bool] = lambda: False
    on_step: Callable[[Found], None] = lambda _: None

    def try_times(self, lam: Array, before: Walk | None = None) -> Found:
        """The rows of these times."""
        table, walk = fit_rows(self.network_field, self.teacher, lam, self.history, self.noises, before)
        return Found(table, walk, measure_rmse(walk.images, self.teacher.images))

    def improve(self, found: Found, steps: int) -> Found:
        """At most so many steps from there, each better than the last."""
        damping = Damping()
        for _ in range(steps):
            if self.should_stop():
                break
            before = found.rmse
            found = self._step(found, damping)
            self.on_step(found)
            if found.rmse > (1 - LEAST_GAIN) * before:
                break
        return found

    def _step(self, found: Found, damping: Damping) -> Found:
        """One step, with as much damping as makes it a good one; `found` itself if none does."""
        jacobian = np.stack(list(self._iterate_columns(found)))
        residual = flatten(found.walk.images) - flatten(self.teacher.images)
        low, high = self.network_field.bound()
        for level in damping.levels():
            change = np.clip(solve_damped(jacobian, residual, level), -REACH, REACH)
            trial = self.try_times(separate(found.table.lam + change, low, high))
            if damping.judge(level, trial.rmse < found.rmse):
                return trial
        return found

    def _iterate_columns(self, found: Found) -> Iterator[Array]:
        """The derivative of the images with respect to each time, rows fitted again."""
        _, high = self.network_field.bound()
        lam = found.table.lam
        for i in range(len(lam)):
            step = STEP * self.network_field.fineness
            step = step if lam[i] + step <= high else -step
            moved = lam.copy()
            moved[i] += step
            trial = self.try_times(moved, found.walk.keep(i))
            yield (flatten(trial.walk.images) - flatten(found.walk.images)) / step


def search_times(search: TimeSearch, starts: Sequence[Array], few: TimeSearch, steps: int) -> Found:
    """The best table that searches from these starts lead to: all are tried, some begun, the best one ended.

    few: the same search on a few of the noises, for the choice between starts.
    """
    tried = sorted((few.try_times(lam) for lam in starts), key=lambda one: one.rmse)
    begun = [few.improve(one, FIRST_STEPS) for one in tried[:COMPARED]]
    best = min(begun, key=lambda one: one.rmse)
    return search.improve(search.try_times(best.table.lam), steps)
