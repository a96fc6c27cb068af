"""The grids on which samplers are examined."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sin

import numpy as np

from dtool.plan import CLEAN, Point, Recipe, grid
from dtool.schedulers import get_scheduler
from dtool.schedulers.levels import alpha_sigma_from_lam
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing
from dtool.spacings.spacing import Spacing

Grid = tuple[Point, ...]

V_NOISY, V_CLEAN = 20.0, 0.02  # σ/α at the ends of the grids on which orders are measured
SHAPES: dict[str, Callable[[float], float]] = {
    "uniform": lambda u: u,
    "uneven": lambda u: u + 0.08 * sin(2 * pi * u),
}


def point_at_lam(lam: float) -> Point:
    """The variance-preserving level with log(α/σ) = `lam`."""
    alpha, sigma = alpha_sigma_from_lam(np.asarray(lam))
    return Point(float(alpha), float(sigma))


def by_lam(n: int, shape: str = "uniform", lead: int = 0) -> Grid:
    """`n` intervals from σ/α = 20 to 0.02, and `lead` more in front of them; it does not end at zero.

    shape: "uniform" in λ, or "uneven", whose steps vary smoothly by a factor of three.
    """
    noisy, clean = -log(V_NOISY), -log(V_CLEAN)
    return tuple(point_at_lam(noisy + SHAPES[shape](i / n) * (clean - noisy)) for i in range(-lead, n + 1))


def by_v(n: int, shape: str = "uniform", lead: int = 0) -> Grid:
    """`n` intervals of α = 1 from σ = 4 to 1, "uniform" in it or "uneven", and `lead` more in front of them."""
    return tuple(Point(1.0, 4 - 3 * SHAPES[shape](i / n)) for i in range(-lead, n + 1))


def random_grid(n: int, seed: int, *, clean: bool) -> Grid:
    """`n` intervals at random levels; `clean`: the last ends at the image."""
    rng = np.random.default_rng(seed)
    lam = np.sort(rng.uniform(-5, 5, n + 1 - clean)) + 1e-3 * np.arange(n + 1 - clean)
    return (*(point_at_lam(float(value)) for value in lam), *((CLEAN,) if clean else ()))


def two_pass_grid(n: int) -> Grid:
    """`n` intervals down, twice: half-way it goes up by the forward process, then down to the image."""
    first = by_lam(n)
    return (*first[: n // 2 + 1], *first[n // 4 : n], CLEAN)


def list_grids(recipe: Recipe) -> list[tuple[str, Grid]]:
    """(label, grid) pairs: every kind of grid that the recipe leaves open.

    With a schedule and a spacing of its own, a recipe is examined on these; what it does not name is varied.
    """
    cases: list[tuple[str, Grid]] = []
    for levels in _choose_schedules(recipe.scheduler):
        for spacing in [recipe.spacing] if recipe.spacing else [get_spacing("trailing"), get_spacing("karras")]:
            label = f"{levels.token or 'own schedule'}/{spacing.token}"
            counts = [n for n in step_counts(spacing) if n <= levels.T]
            cases += [(f"{label}, {n} steps", grid(levels, spacing, n)) for n in counts]
    if recipe.scheduler is None and recipe.spacing is None:
        cases.append(("linear:T=50, every step", grid(get_scheduler("linear", T=50), get_spacing("trailing"), 50)))
        cases += [(f"random levels, seed {s}", random_grid(9, s, clean=s % 2 == 0)) for s in range(4)]
        cases.append(("a grid that goes up again", two_pass_grid(8)))
    return cases


def step_counts(place: Spacing) -> tuple[int, ...]:
    """Step counts for a spacing; an explicit list has only its own."""
    times = dict(place.options).get("times")
    return (1, 10, 37) if times is None else (len(str(times).split(";")),)


def _choose_schedules(own: Schedule | None) -> list[Schedule]:
    return [own] if own else [get_scheduler("linear"), get_scheduler("cosine"), get_scheduler("linear:zero_snr=true")]
