"""From an unrolled sampler to rows: each x by least squares on what a row of a plan may use, no more than it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.plan.compiled_plan import Column

MOST_HISTORY = 16  # predictions that a row may remember: the longest that are known take 13
ROUNDING = 1e-14  # of a coefficient of x, relative to the largest
MOST_BACK = 6  # rows between a saved x and its use


@dataclass(kw_only=True)
class Rows:
    """The columns of a plan that say what becomes of x; `noises` `(rows, symbols)`: each row's z, a sum of symbols."""

    a: list[float] = field(default_factory=list)
    b: list[list[float]] = field(default_factory=list)
    b_raw: list[float] = field(default_factory=list)
    a_saved: list[float] = field(default_factory=list)
    c: list[float] = field(default_factory=list)
    save: list[bool] = field(default_factory=list)
    noises: list[Column] = field(default_factory=list)

    @property
    def history(self) -> int:
        """The longest history of a row."""
        return max(len(weights) for weights in self.b)

    @property
    def largest(self) -> float:
        """The largest weight of a prediction, which multiplies what float32 rounds off; coarsely, to compare."""
        return ceil(4 * log2(1 + max(abs(weight) for weights in self.b for weight in weights))) / 4

    def to_columns(self) -> dict[str, Any]:
        """The columns as `Plan` takes them."""
        b = np.zeros((len(self.a), self.history))
        for row, weights in zip(b, self.b, strict=True):
            row[: len(weights)] = weights
        columns = {name: np.array(getattr(self, name)) for name in ("a", "b_raw", "a_saved", "c", "save")}
        return columns | {"b": b}


def factor_rows(
    states: Column, entries: Column, gaps: Column | None, first_noise: int, starts: Sequence[bool], tolerance: float,
    name: str,
) -> Rows:  # fmt: skip
    """The rows that make each x of the one before.

    states `(rows + 1, symbols)`: x at each call and at the end; entries `(rows, symbols)`: what the history remembers
    of each call; gaps: what clipping took off each image, if it clips; the noises are the symbols from `first_noise`
    on. starts: the rows that begin a step. tolerance: relative to the largest coefficient of what changes.
    Raises UsageError, with the call, for an x that no row of a plan can make.
    """
    rows = Rows()
    seen = np.abs(states[0]) > 0
    for i in range(len(entries)):
        fresh = ~seen
        fresh[:first_noise] = False
        noise = np.where(fresh, states[i + 1], 0.0)
        target = states[i + 1] - noise
        # of what changes in this row: a late step is small beside the x that it changes
        limit = tolerance * float(np.abs(states[i + 1] - states[i]).max())
        limit += ROUNDING * float(np.abs(states[i : i + 2]).max())
        size = float(np.linalg.norm(noise))
        gap = None if gaps is None else gaps[i]
        found = _fit_history(states, entries, gap, i, target, limit) or _fit_saved(
            states, entries, gap, i, target, limit, starts
        )
        if found is None:
            raise UsageError(
                f"{name}: x after network call {i + 1} needs more than a row of a plan may use: it, {MOST_HISTORY} "
                "predictions, fresh noise and one saved x",
                "it is linear, but keeps something that no plan has room for",
            )
        a, b, b_raw, a_saved, back = found
        _append(rows, (a, b, b_raw, a_saved, size), noise / size if size else noise)
        if back is not None:
            rows.save[i - back] = True
        seen |= np.abs(states[i + 1]) > 0
    return rows


Found = tuple[float, list[float], float, float, int | None]


def _append(rows: Rows, numbers: tuple[float, list[float], float, float, float], noise: Column) -> None:
    for name, value in zip(("a", "b", "b_raw", "a_saved", "c"), numbers, strict=True):
        getattr(rows, name).append(value)
    rows.save.append(False)
    rows.noises.append(noise)


def _fit_history(
    states: Column, entries: Column, gap: Column | None, i: int, target: Column, limit: float
) -> Found | None:
    """x and predictions, as few as will do."""
    for k in range(1, min(i + 1, MOST_HISTORY) + 1):
        candidates = [states[i], *entries[i - k + 1 : i + 1][::-1]]
        for extra in [[]] if gap is None else [[], [gap]]:
            weights = _solve([*candidates, *extra], target, limit)
            if weights is not None:
                return weights[0], weights[1 : k + 1], weights[k + 1] if extra else 0.0, 0.0, None
    return None


def _fit_saved(
    states: Column, entries: Column, gap: Column | None, i: int, target: Column, limit: float, starts: Sequence[bool]
) -> Found | None:
    """The same with the x of an earlier row, first of all that which begins the step."""
    places = sorted(range(1, min(i, MOST_BACK) + 1), key=lambda back: (not starts[i - back], back))
    for k in range(1, min(i + 1, 4) + 1):
        for back in places:
            candidates = [states[i], *entries[i - k + 1 : i + 1][::-1], *([] if gap is None else [gap])]
            weights = _solve([*candidates, states[i - back]], target, limit)
            if weights is not None:
                return weights[0], weights[1 : k + 1], 0.0 if gap is None else weights[k + 1], weights[-1], back
    return None


def _solve(candidates: list[Column], target: Column, limit: float) -> list[float] | None:
    """The weights of the candidates that make the target, to within `limit` in every coefficient; None if none do."""
    matrix = np.array(candidates).T
    used = (matrix != 0).any(axis=1)
    if float(np.abs(target[~used]).max(initial=0.0)) > limit:
        return None
    matrix, wanted = matrix[used], target[used]
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1.0
    weights = np.linalg.lstsq(matrix / scale, wanted, rcond=None)[0] / scale
    if not np.isfinite(weights).all() or float(np.abs(matrix @ weights - wanted).max(initial=0.0)) > limit:
        return None
    weights[np.abs(weights) * np.abs(matrix).max(axis=0, initial=0.0) < 1e-3 * limit] = 0.0
    return [float(weight) for weight in weights]
