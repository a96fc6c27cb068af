"""The smallest interpreter of a plan: the rows exactly as `Plan` defines them, in float64, with nothing clever."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dtool.plan import Plan, Point
from dtool.testing.targets import Mixture

Array = NDArray[np.float64]


def walk(
    plan: Plan, predict: Callable[[Array, int], Array], x: Array, noise: Callable[[int], Array | float] = lambda _: 0.0
) -> Array:
    """x after the plan's last row, from `x` at its first point.

    predict(x, i): the entry of the history that row i makes, x0 or eps by `plan.images`. noise(i): the row's z.
    """
    saved = x
    history: list[Array] = []
    for i in range(plan.rows):
        if plan.save[i]:
            saved = x
        history = [predict(x, i), *history[: plan.history - 1]]
        x = plan.a[i] * x + plan.a_saved[i] * saved
        for weight, entry in zip(plan.b[i], history, strict=False):
            x = x + weight * entry
        if plan.c[i]:
            x = x + plan.c[i] * noise(i)
    return x


def optimal(law: Mixture, plan: Plan) -> Callable[[Array, int], Array]:
    """The `predict` of `law`'s optimal network along the plan."""
    levels = [Point(float(a), float(s)) for a, s in zip(plan.alpha, plan.sigma, strict=True)]
    return lambda x, i: law.x0(x, levels[i]) if plan.images[i] else law.eps(x, levels[i])
