"""All numbers of a table together: damped Gauss-Newton steps on its own runs, stopped by noises that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from dtool.fit.damping import Damping, solve_damped
from dtool.fit.field import Field, flatten
from dtool.fit.noises import Noises
from dtool.fit.search import STEP
from dtool.fit.starts import separate
from dtool.fit.table import FitTable, Walk, measure_rmse, run_table
from dtool.fit.teacher import Teacher
from dtool.util.arrays import Array

SHARE = 1e-2  # of x's size that a row's weight is moved by, for a difference
REUSES = 2  # steps that are taken with one Jacobian, brought up to date by what the steps before it did
WORTH = 4e-3  # of the error: a Jacobian is used again while a step gains so much
PATIENCE = 2  # Jacobians without a gain on the validation set, after which the fit ends
OUTLIER = 8.0  # medians of the images' square errors, about where one begins to count less


@dataclass(frozen=True)
class Step:
    """A table on the training noises: its walk, and the mean of the images' errors, those of outliers counted less."""

    table: FitTable
    walk: Walk
    errors: Array
    loss: float


@dataclass(frozen=True)
class Judged:
    """A table, and its error on the training and on the validation noises."""

    table: FitTable
    training: float
    validation: float


@dataclass(kw_only=True)
class Refinement:
    """The noises and solutions that a table is refined on, and those that stop it.

    kinds: of numbers that are refined, times and the weights of rows. should_stop(): asked before every step.
    on_step(best): told the best table so far.
    """

    network_field: Field
    training: Noises
    teacher: Teacher
    validation: Noises
    judge: Teacher
    should_stop: Callable[[], bool] = lambda: False
    on_step: Callable[[Judged], object] = lambda _: None
    kinds: tuple[str, ...] = ("lam", "a", "b")
    _scale: float = field(default=float("inf"), init=False, repr=False)

    def refine(self, table: FitTable, jacobians: int) -> Judged:
        """The best table on the validation noises of those on the way from `table`, itself included."""
        self._scale = float("inf")
        self._scale = OUTLIER * float(np.median(self._walk(table).errors)) or 1.0
        found = self._walk(table)
        best = self._validate(found)
        self.on_step(best)
        damping, idle = Damping(), 0
        for _ in range(jacobians):
            if self.should_stop() or idle >= PATIENCE:
                break
            idle += 1
            for step in self._iterate_steps(found, damping):
                found = step
                judged = self._validate(step)
                if judged.validation < best.validation:
                    best, idle = judged, 0
                    self.on_step(best)
        return best

    def _iterate_steps(self, found: Step, damping: Damping) -> Iterator[Step]:
        """The better tables that one Jacobian leads to."""
        places = [place for place in list_places(found.table) if place[0] in self.kinds]
        jacobian = np.stack([self._differentiate(found, place) for place in places])
        target = flatten(self.teacher.images)
        for _ in range(1 + REUSES):
            residual = flatten(found.walk.images) - target
            weight = self._weigh(found)
            for level in damping.levels():
                change = solve_damped(jacobian * weight, residual * weight, level)
                trial = self._walk(self._move(found.table, places, change))
                if damping.judge(level, trial.loss < found.loss):
                    break
            else:
                return
            yield trial
            if trial.loss > (1 - 2 * WORTH) * found.loss:
                return
            # Broyden's update: the Jacobian that would have foretold this step.
            missed = flatten(trial.walk.images) - target - residual - change @ jacobian
            along = (jacobian**2).sum(axis=1) * change
            jacobian = jacobian + np.outer(along / (along @ change), missed)
            found = trial

    def _walk(self, table: FitTable, before: Walk | None = None) -> Step:
        walk = run_table(self.network_field, table, self.training, before)
        errors = ((walk.images - self.teacher.images) ** 2).reshape(len(walk.images), -1).mean(axis=1)
        scale = self._scale
        loss = float(errors.mean() if np.isinf(scale) else (scale * np.log1p(errors / scale)).mean())
        return Step(table, walk, errors, loss)

    def _weigh(self, found: Step) -> Array:
        """The weight of every number of the images: less where an image went to another place than the solution's."""
        each = 1 / np.sqrt(1 + found.errors / self._scale)
        return np.repeat(each, found.walk.images[0].size)

    def _validate(self, found: Step) -> Judged:
        images = run_table(self.network_field, found.table, self.validation).images
        training = float(np.sqrt(found.errors.mean()))
        return Judged(found.table, training, measure_rmse(images, self.judge.images))

    def _differentiate(self, found: Step, place: tuple[str, int, int]) -> Array:
        """The derivative of the images with respect to one number of the table."""
        kind, i, back = place
        step = (STEP if kind == "lam" else SHARE) * self.network_field.fineness
        moved = move(found.table, [place], np.array([step]))
        kept = found.walk.keep(i if kind == "lam" else i + 1)
        if kind == "lam":
            kept.states = found.walk.states[: i + 1]
        del back
        return (flatten(self._walk(moved, kept).walk.images) - flatten(found.walk.images)) / step

    def _move(self, table: FitTable, places: list[tuple[str, int, int]], change: Array) -> FitTable:
        moved = move(table, places, change)
        return replace(moved, lam=separate(moved.lam, *self.network_field.bound()))


def list_places(table: FitTable) -> list[tuple[str, int, int]]:
    """Every number of a table that can be chosen: ("lam" | "a" | "b", row, how many calls back)."""
    n, history = table.b.shape
    places = [("lam", i, 0) for i in range(n)] + [("a", i, 0) for i in range(n)]
    return places + [("b", i, back) for i in range(n) for back in range(min(history, i + 1))]


def move(table: FitTable, places: list[tuple[str, int, int]], change: Array) -> FitTable:
    """The table with these numbers moved."""
    columns = {"lam": table.lam.copy(), "a": table.a.copy(), "b": table.b.copy()}
    for (kind, i, back), by in zip(places, change, strict=True):
        if kind == "b":
            columns["b"][i, back] += by
        else:
            columns[kind][i] += by
    return FitTable(**columns)
