"""What must not matter: how large x is drawn at a level, how the data are turned, and in which units they are."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot

import numpy as np

from dtool.certify import grids
from dtool.certify.grids import Grid
from dtool.certify.identities import distance
from dtool.certify.result import largest
from dtool.plan import Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array

BAR = 1e-9
COORDINATES: dict[str, Callable[[Point], Point]] = {
    "ve": lambda p: Point(1.0, p.v),
    "flow": lambda p: Point(1 / (1 + p.v), p.v / (1 + p.v)),
}


def coordinate_deviation(rule: Rule) -> tuple[float, str]:
    """(deviation, coordinates): the largest difference of x/α from the variance-preserving one, on the same λ grid.

    Compared are the compiled tables as linear maps, noise by its covariance, so that no network is needed.
    """
    deviations = [(0.0, "ve")]
    for points in _make_grids():
        plain = compile_plan(rule, points, prediction="x0")
        for name, change in COORDINATES.items():
            changed = tuple(change(p) for p in points)
            other = compile_plan(rule, changed, prediction="x0")
            deviations.append((largest([distance(plain, other, (points[-1], changed[-1]))]), name))
    return max(deviations)


def similarity_deviation(rule: Rule) -> float:
    """Turn the data and scale them by 1.7: what the sampler makes is turned and scaled, too. The largest difference.

    The rule itself is run on arrays `(5, 3)`, noise turned and scaled alike, with a network that is not linear.
    """
    rng = np.random.default_rng(0)
    turn = 1.7 * np.linalg.qr(rng.standard_normal((3, 3)))[0]
    back = np.linalg.inv(turn)
    worst = 0.0
    for points in _make_grids():
        noises = rng.standard_normal((400, 5, 3))
        x = hypot(points[0].alpha, points[0].sigma) * rng.standard_normal((5, 3))
        end = run_eager(rule, points, _predict_noise, x, lambda i, z=noises: z[i])  # type: ignore[misc]
        turned = run_eager(
            rule, points, lambda y, at: _predict_noise(y @ back, at) @ turn, x @ turn, lambda i, z=noises: z[i] @ turn  # type: ignore[misc]
        )  # fmt: skip
        worst = largest([worst, float(np.abs(turned - end @ turn).max())])
    return worst


def _predict_noise(x: Array, at: Point) -> Array:
    """A prediction of the noise that depends on x, on its parts together, and on the level."""
    scale = hypot(0.5 * at.alpha, at.sigma)
    mixed = np.tanh(x / scale) + 0.2 * np.sin(np.roll(x, 1, axis=-1) / scale)
    return np.asarray(at.sigma / scale * mixed)


def _make_grids() -> list[Grid]:
    return [
        grids.by_lam(10, "uneven"),
        grids.two_pass_grid(8),
        *(grids.random_grid(7, s, clean=s % 2 == 0) for s in range(2)),
    ]
