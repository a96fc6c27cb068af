"""Noise of one Brownian path: what a row adds is the path's increment between two noise levels, in however many steps.

The reverse SDE with a constant x0 adds to x/σ·e^λ, in a step from λ to λ', the increment of Brownian motion W from
time s = e^{2λ} to e^{2λ'} (arXiv:2211.01095, appendix E, with η = 1). So the path is W on that clock, and the z of
a row is (W(s') - W(s))/√(s' - s): standard normal, and independent of every other row's, as a plan has it; but rows of
a finer grid add up to those of a coarser one, and 20 and 40 steps come to the same picture.

W is expanded in Haar's functions on a lattice of levels λ (Lévy and Ciesielski's construction): each coefficient is one
draw of the generator that all noise comes from, and an increment between two points of the lattice is a weighted sum of
few of them, those whose halves one of the points divides. A row's levels are rounded to the lattice, each row to an
interval of its own, so that its law is exact and only the likeness of different grids is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import sqrt
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.plan.compiled_plan import Plan
from dtool.util.arrays import Array

LOWEST, HIGHEST, CELLS = -12.0, 12.0, 4096  # λ of the lattice's ends, beyond which are its first and last points
Weights = dict[int, float]  # draw ↦ its weight


def require_path_noise(word: str, x: Any, *, of_file: bool) -> bool:
    """Whether `word` asks for noise of one path; raises UsageError for another word, and where it cannot be had.

    of_file: the run is that of a sampler's file.
    """
    if word not in ("path", "rows"):
        raise UsageError(f"noise {word!r} is neither path nor rows", "leave it out for noise of each row's own")
    if x is not None:
        raise UsageError(f"noise={word!r} is that of image ids, and x= has none", "give noise as an array")
    if word == "path" and of_file:
        raise UsageError(
            "a sampler's file draws one noise a row, and has no room for a path's", "sample the network's own file"
        )
    return word == "path"


def weigh_increment(first: int, last: int) -> Weights:
    """z of the path from lattice point `first` to `last`, as weights of draws 0 … CELLS - 1; Σ w² = 1.

    >>> from dtool.run.path_noise import weigh_increment
    >>> round(sum(w * w for w in weigh_increment(1000, 1100).values()), 12)
    1.0
    """
    clock = _make_clock()

    def measure(low: int, high: int) -> float:
        """The time that passes of the increment within these points."""
        return float(max(clock[min(high, last)] - clock[max(low, first)], 0.0)) if low < last and first < high else 0.0

    length = sqrt(measure(first, last))
    weights = {0: length / sqrt(clock[-1])}
    pending = [(1, 0, CELLS)]
    while pending:
        node, low, high = pending.pop()
        if last <= low or high <= first or (first <= low and high <= last):
            continue  # what happens within the interval cancels, and beyond it says nothing
        middle = (low + high) // 2
        left, right = (float(clock[b] - clock[a]) for a, b in ((low, middle), (middle, high)))
        rise, fall = sqrt(right / left / (left + right)), sqrt(left / right / (left + right))
        weights[node] = (measure(low, middle) * rise - measure(middle, high) * fall) / length
        if high - low > 2:
            pending += [(2 * node, low, middle), (2 * node + 1, middle, high)]
    return weights


@cache
def _make_clock() -> Array:
    """s at each point of the lattice; the first is that of pure noise."""
    clock = np.exp(2 * np.linspace(LOWEST, HIGHEST, CELLS + 1))
    clock[0] = 0.0
    return clock


def place_rows(plan: Plan) -> list[tuple[int, int, int]]:
    """(how often the grid has gone up, first point, last point) of each row that adds noise.

    A step's rows share its interval, each up to the level of the next; after the grid has gone up there is another
    path. The end of a grid, which the plan does not know, is the lattice's. Raises UsageError if the lattice has fewer
    points than there are rows.
    """
    points = np.clip(np.rint((plan.lam - LOWEST) / (HIGHEST - LOWEST) * CELLS), 0, CELLS).astype(int).tolist()
    ends, starts = np.flatnonzero(plan.step_end), set(plan.step_starts.tolist())
    rises = {int(i) for i in ends[:-1] if plan.lam[i + 1] <= plan.lam[plan.step_starts[np.searchsorted(ends, i)]]}
    placed: list[tuple[int, int, int]] = []
    turn, begin = 0, points[0]
    for i in range(plan.rows):
        begin = points[i] if i in starts else begin
        over = not (plan.c[i + 1 : 1 + ends[np.searchsorted(ends, i)]] != 0).any()  # no more noise in this step
        after = int(ends[np.searchsorted(ends, i)]) if over else i
        if plan.c[i] != 0:
            end = CELLS if after + 1 == plan.rows or after in rises else points[after + 1]
            placed.append((turn, begin, end))
            begin = end
        turn += i in rises
    return [one for k in range(turn + 1) for one in _separate([each for each in placed if each[0] == k])]


def _separate(placed: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """The intervals of one path, none of them empty and no two overlapping."""
    if len(placed) > CELLS:
        raise UsageError(f"a path has room for {CELLS} steps with noise, and here are {len(placed)}", "use fewer steps")
    bounds, least = [], 0
    for turn, first, last in placed:
        first = max(first, least)
        least = max(last, first + 1)
        bounds.append((turn, first, least))
    most = CELLS
    for k in reversed(range(len(bounds))):
        turn, first, last = bounds[k]
        last = min(last, most)
        most = min(first, last - 1)
        bounds[k] = (turn, most, last)
    yield from bounds


def weigh_rows(plan: Plan) -> list[Weights]:
    """The draws that make up the z of each row with noise, draw 0 being the start, and their weights."""
    weights = []
    for turn, first, last in place_rows(plan):
        shift = 1 + turn * CELLS
        weights.append({shift + draw: weight for draw, weight in weigh_increment(first, last).items()})
    return weights


def draw_path(plan: Plan, draw: Callable[[int], Any]) -> Iterator[Any]:
    """The z of each row that adds noise, `(B, *shape)`; draw(k): the k-th noise of the images, `(1, B, *shape)`."""
    rows: list[Weights] = plan.get_or_compute("path noise", lambda: weigh_rows(plan))
    held: dict[int, Any] = {}
    for k, weights in enumerate(rows):
        held = {each: held[each] if each in held else draw(each)[0] for each in weights}
        factors = np.array(list(weights.values()), np.float32).tolist()
        total = sum(factor * z for factor, z in zip(factors, held.values(), strict=True))
        shared = rows[k + 1] if k + 1 < len(rows) else {}
        held = {each: z for each, z in held.items() if each in shared}
        yield total
