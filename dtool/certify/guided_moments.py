"""The weak order of stochastic runs with guidance: exact moments, where the data and one class of them are Gaussian.

Both optimal networks are then affine, and the guided one too, so that every x is a constant plus a linear form in the
noise, as in `dtool.certify.moments`. Guidance changes the law that the runs lead to, and each way of adding noise leads
to another; so the order is that of the differences between runs of n, 2n and 4n steps.
"""

from __future__ import annotations

from math import log2

import numpy as np

from dtool.certify.grids import by_lam
from dtool.certify.guided import make_plan
from dtool.certify.result import largest
from dtool.guidances.guidance import Guidance
from dtool.plan import Plan
from dtool.plan.guiding import compute_weights
from dtool.plan.reference import Answer, iterate_states
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array

WHOLE, CLASS = (0.2, 0.5), (0.6, 0.15)  # mean and standard deviation of the data, and of the class
STEPS = 128  # of the coarsest of three runs


def guided_moments(plan: Plan, scale: float) -> tuple[float, float]:
    """(mean, standard deviation) of x at the end, from the class's own law at the start, guided at this scale."""
    weights = compute_weights(plan, scale)
    place = 1 + np.cumsum(plan.c != 0)  # of a row's noise among the coefficients; 0 is the constant, 1 the start
    start = np.zeros(plan.draws + 2)
    start[0], start[1] = plan.alpha[0] * CLASS[0], np.hypot(plan.alpha[0] * CLASS[1], plan.sigma[0])

    def predict(x: Array, i: int, mean: float, std: float) -> Array:
        """E[x0 | x] of N(mean, std²)."""
        alpha, sigma = plan.alpha[i], plan.sigma[i]
        power = (alpha * std) ** 2 + sigma**2
        image: Array = alpha * std**2 / power * x
        image[0] += mean * sigma**2 / power
        return image

    def ask(x: Array, i: int) -> Answer:
        free = predict(x, i, *WHOLE)
        image = free + weights[i] * (predict(x, i, *CLASS) - free)
        entry = image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i]
        return Answer(entry, gap=image - free)

    def noise(i: int) -> Array:
        unit = np.zeros(start.size)
        unit[place[i]] = 1.0
        return unit

    *_, x = iterate_states(plan, ask, start, noise)
    return float(x[0]), float(np.sqrt(np.square(x[1:]).sum()))


def guided_weak_order(rule: Rule, guidance: Guidance, n: int = STEPS) -> float:
    """By which power of the number of steps the moments come nearer to their limit; uniform in λ."""
    ends = [guided_moments(*make_plan(rule, guidance, by_lam(count))) for count in (n, 2 * n, 4 * n)]
    far, near = (largest(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in (ends[:2], ends[1:]))
    return log2(far / near)


def explain_no_weak_order(rule: Rule, guidance: Guidance) -> str:
    """Why there is no weak order to measure; "" if there is one."""
    if not guidance.has_limit:
        return f"guidance {guidance.name} has no limit of many steps: how strong it is depends on their number"
    plan, _ = make_plan(rule, guidance, by_lam(STEPS))
    if plan.compares.any():
        return "the rule adds D - D_without in every step: no limit of many steps, so no order with guidance"
    if not plan.stochastic:
        return "nothing is drawn: see guided-order"
    if plan.learned:
        return "the network chooses how much noise is added, and says so for each image"
    return "" if np.ptp(plan.guided) == 0 else "guidance changes along the run, and where a step lies decides how much"
