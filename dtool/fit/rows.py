"""Rows by least squares: each the best one from the states that the rows before it lead to, towards the solution's."""

from __future__ import annotations

import numpy as np

from dtool.fit.field import Field
from dtool.fit.noises import Noises
from dtool.fit.table import FitTable, Walk, begin_walk
from dtool.fit.teacher import Teacher
from dtool.util.arrays import Array

SMALLEST = 1e-12  # of the eigenvalues of a row's normal equations, as a share: below it two predictions are one


def fit_rows(
    network_field: Field, teacher: Teacher, lam: Array, history: int, noises: Noises, before: Walk | None = None
) -> tuple[FitTable, Walk]:
    """The table with these times `(n,)` and rows of at most `history` predictions, and its walk.

    A row aims at the solution's state at the next time, the last one at its images. Every state is the table's own:
    rows that are fitted on the solution's states, with a past that no run has, lead elsewhere. before: the part of a
    walk with other times that these have in common.
    """
    n = len(lam)
    walk = begin_walk(network_field, noises, lam[0]) if before is None or not before.entries else before
    states, entries = list(walk.states), list(walk.entries)
    a, b = np.zeros(n), np.zeros((n, min(history, n)))
    # Rows whose states and entries are all kept are needed again by no caller but as numbers: they are fitted anew.
    for i in range(n):
        if len(entries) == i:
            entries.append(network_field.predict(states[i], lam[i], noises))
        target = teacher.images if i == n - 1 else teacher.locate(lam[i + 1])
        depth = min(b.shape[1], i + 1)
        columns = [states[i], *(entries[i - back] for back in range(depth))]
        weights = solve_least_squares(columns, target)
        a[i], b[i, :depth] = weights[0], weights[1:]
        if len(states) == i + 1:
            states.append(np.tensordot(weights, np.stack(columns), 1))
    return FitTable(lam=np.array(lam), a=a, b=b), Walk(states=states, entries=entries)


def solve_least_squares(columns: list[Array], target: Array) -> Array:
    """The weights of the columns whose sum is nearest to the target, the smallest ones where several are."""
    design = np.stack([column.reshape(-1) for column in columns])
    size = np.sqrt((design**2).sum(axis=1))
    design = design / size[:, None]
    weights = np.linalg.lstsq(design @ design.T, design @ target.reshape(-1), rcond=SMALLEST)[0]
    return np.asarray(weights / size)
