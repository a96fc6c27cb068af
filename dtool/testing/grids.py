"""The grids on which samplers are examined."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, pi, sin, sqrt

import numpy as np

from dtool.plan import CLEAN, Point, Recipe, grid
from dtool.schedulers import schedule, spacing
from dtool.schedulers.schedule import Schedule
from dtool.schedulers.spacing import Spacing

Grid = tuple[Point, ...]

V_NOISY, V_CLEAN = 20.0, 0.02  # σ/α at the ends of the grids on which orders are measured
SHAPES: dict[str, Callable[[float], float]] = {
    "uniform": lambda u: u,
    "uneven": lambda u: u + 0.08 * sin(2 * pi * u),
}


def at(lam: float) -> Point:
    """The variance-preserving level with log(α/σ) = `lam`."""
    return Point(1 / sqrt(1 + exp(-2 * lam)), 1 / sqrt(1 + exp(2 * lam)))


def by_lam(n: int, shape: str = "uniform", lead: int = 0) -> Grid:
    """`n` intervals from σ/α = 20 to 0.02, and `lead` more in front of them; it does not end at zero.

    shape: "uniform" in λ, or "uneven", whose steps vary smoothly by a factor of three.
    """
    noisy, clean = -log(V_NOISY), -log(V_CLEAN)
    return tuple(at(noisy + SHAPES[shape](i / n) * (clean - noisy)) for i in range(-lead, n + 1))


def random(n: int, seed: int, *, clean: bool) -> Grid:
    """`n` intervals at random levels; `clean`: the last ends at the image."""
    rng = np.random.default_rng(seed)
    lam = np.sort(rng.uniform(-5, 5, n + 1 - clean)) + 1e-3 * np.arange(n + 1 - clean)
    return (*(at(float(value)) for value in lam), *((CLEAN,) if clean else ()))


def up_again(n: int) -> Grid:
    """`n` intervals down, twice: half-way it goes up by the forward process, then down to the image."""
    first = by_lam(n)
    return (*first[: n // 2 + 1], *first[n // 4 : n], CLEAN)


def panel(recipe: Recipe) -> list[tuple[str, Grid]]:
    """(label, grid) pairs: every kind of grid that the recipe leaves open.

    With a schedule and a spacing of its own, a recipe is examined on these; what it does not name is varied.
    """
    cases: list[tuple[str, Grid]] = []
    for levels in _schedules(recipe.scheduler):
        for place in [recipe.spacing] if recipe.spacing else [spacing("trailing"), spacing("karras")]:
            label = f"{levels.token or 'own schedule'}/{place.token}"
            counts = [n for n in step_counts(place) if n <= levels.T]
            cases += [(f"{label}, {n} steps", grid(levels, place, n)) for n in counts]
    if recipe.scheduler is None and recipe.spacing is None:
        cases.append(("linear:T=50, every step", grid(schedule("linear", T=50), spacing("trailing"), 50)))
        cases += [(f"random levels, seed {s}", random(9, s, clean=s % 2 == 0)) for s in range(4)]
        cases.append(("a grid that goes up again", up_again(8)))
    return cases


def step_counts(place: Spacing) -> tuple[int, ...]:
    """Step counts for a spacing; that of an explicit list is given."""
    times = dict(place.options).get("times")
    return (1, 10, 37) if times is None else (len(str(times).split(";")),)


def _schedules(own: Schedule | None) -> list[Schedule]:
    return [own] if own else [schedule("linear"), schedule("cosine"), schedule("linear:zero_snr=true")]
