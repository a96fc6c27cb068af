"""The path of the probability-flow ODE that a plan is judged by: its ends, its limit, and a grid to solve it on."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import CLEAN, Point
from dtool.plan.recipe import Recipe
from dtool.run.loop import run
from dtool.schedulers.levels import alpha_sigma_from_lam, lam_from_v

RHO = 7.0  # of the grid, as of `karras`
ROUNDING = 1e-9  # of λ: levels of one schedule in other coordinates


def find_other_limit(plan: Plan, clipped: bool = False) -> str:
    """Why a deterministic plan converges to something else than the ODE's solution; "" if it does not.

    clipped: whether the predicted image is clipped; a rule that continues from the unclipped one follows another field.
    """
    if clipped and (plan.b_raw != 0).any():
        return "where the image is clipped it continues with the unclipped noise, which is another field"
    try:
        return Recipe.parse(plan.sampler).rule.marginals_caveat or ""
    except UsageError:  # a rule of no registered name
        return ""


def make_solving_grid(network: Network, start: Point, end: Point, steps: int) -> list[Point]:
    """The levels of a solve: evenly in (σ/α)^(1/7), `steps` network calls, the last point the recipe's own.

    From a start without signal, where σ/α is infinite, the next level rises with the steps, so that the first one
    shrinks as the others do. The clean image is reached from the network's cleanest level.
    """
    clean = end.sigma == 0
    low = float(np.exp(-network.schedule.lam[0])) if clean else end.v
    silent = start.alpha == 0
    high = max(float(steps), 2 * low) if silent else start.v
    count = steps - silent + (not clean)
    if not low < high:
        raise UsageError(f"the recipe begins at σ/α={high:.3g}, below the network's cleanest level", "begin higher")
    u = np.linspace(0, 1, count)
    v = (high ** (1 / RHO) + u * (low ** (1 / RHO) - high ** (1 / RHO))) ** RHO
    inner = [Point(float(a), float(s)) for a, s in zip(*alpha_sigma_from_lam(lam_from_v(v)), strict=True)]
    first = [start] if silent else []
    inner = inner if silent else [start, *inner[1:]]
    return [*first, *(inner if clean else inner[:-1]), end]


def find_start(network: Network, plan: Plan) -> Point:
    """The level at which the path begins that a plan is judged by: the network's noisiest.

    Its own first level only where that is noisier still. A plan that begins late takes pure noise for a state of its
    first level, and what that costs belongs to its error.
    """
    own = Point(float(plan.alpha[0]), float(plan.sigma[0]))
    noisiest = Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
    return own if own.lam < noisiest.lam - ROUNDING else noisiest


def find_end(plan: Plan) -> Point | None:
    """The level at which a deterministic plan ends: where a constant image and a constant noise come out.

    None where that is no level: a rule that does not keep the marginals and does not end at the clean image.
    """
    if plan.fit is not None:  # it aims at the image, and keeps no constant one
        return CLEAN
    image, noise = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    x = plan.alpha[0] * image + plan.sigma[0] * noise

    def predict(scaled: Any, row: Any) -> Any:
        i = int(row[0])
        return (image - plan.c_skip[i] * scaled / plan.c_in[i]) / plan.c_out[i]

    rows = np.repeat(np.arange(plan.rows, dtype=np.float64)[:, None], 2, axis=1)
    alpha, sigma = (float(value) for value in run(plan, predict, x, rows, repeat(0.0)))
    if abs(sigma) < 1e-9 and abs(alpha - 1) < 1e-9:
        return CLEAN
    return None if find_other_limit(plan) or sigma <= 0 or alpha <= 0 else Point(alpha, sigma)
