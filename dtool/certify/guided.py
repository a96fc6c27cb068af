"""Certificate 12, guidance: on a mixture and one of its classes, whose guided field is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import numpy as np

from dtool.certify.certificates import explain_not_ode
from dtool.certify.grids import Grid, by_lam, point_at_lam
from dtool.certify.laws import THREE_GAUSSIANS, UPPER_CLASS
from dtool.errors import DtoolError
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance
from dtool.plan import Plan, Point, Recipe
from dtool.plan import compile as compile_plan
from dtool.plan.guiding import compute_weights, guide
from dtool.plan.reference import Answer, run_rows
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array

BAR = 1e-9
DEFAULT_SCALE, COMPARING_SCALE = 2.0, 0.6  # of a guidance that names none, and of a rule that adds D - D_without
FEW, MANY, STAGES = 256, 512, 1024  # steps at which the order is measured, and at least of the reference


def is_guided(recipe: Recipe) -> bool:
    """Whether the recipe names guidance, or its rule looks at the prediction without the conditions."""
    return not recipe.rule.inverse and (recipe.guidance is not None or _compares(recipe.rule))


def choose_guidance(recipe: Recipe) -> Guidance:
    """The recipe's own; for a rule that compares by itself, a scale of CFG++'s size in every row."""
    return get_guidance("cfg", scale=COMPARING_SCALE) if recipe.guidance is None else recipe.guidance


def explain_no_order(rule: Rule, guidance: Guidance) -> str:
    """Why the guided runs have no order of convergence; "" if they have one."""
    if not guidance.has_limit:
        return f"guidance {guidance.name} has no limit of many steps: how strong it is depends on their number"
    if _compares(rule):
        return "the rule adds D - D_without in every step: no limit of many steps, so no order with guidance"
    return explain_not_ode(rule)


def _compares(rule: Rule) -> bool:
    """Whether it looks at the prediction without conditions; one that cannot be compiled is for others to judge."""
    try:
        return bool(compile_plan(rule, by_lam(4), prediction="x0").compares.any())
    except DtoolError:
        return False


def make_plan(rule: Rule, guidance: Guidance, points: Grid) -> tuple[Plan, float]:
    """(plan, scale): the rule on these points under this guidance."""
    plan = guide(compile_plan(rule, points, prediction="x0"), guidance)
    return plan, DEFAULT_SCALE if guidance.scale is None else guidance.scale


def predict_images(x: Array, at: Point, weight: float) -> tuple[Array, Array]:
    """(D, D_without): E[x0 | x] of the whole law, and from there `weight` of the way to that of the class."""
    free = THREE_GAUSSIANS.x0(x, at)
    return free + weight * (UPPER_CLASS.x0(x, at) - free), free


def run_guided(plan: Plan, scale: float, x: Array, noise: Callable[[int], Array | float] = lambda _: 0.0) -> Array:
    """x after the plan's last row, as `dtool.plan.reference` reads it; noise(i): the z of row i."""
    levels, weights = _list_levels(plan), compute_weights(plan, scale).tolist()

    def ask(x: Array, i: int) -> Answer:
        image, free = predict_images(x, levels[i], weights[i])
        entry = image if plan.images[i] else (x - levels[i].alpha * image) / levels[i].sigma
        return Answer(entry, gap=image - free)

    return np.asarray(run_rows(plan, ask, x, noise))


def run_on_moved(plan: Plan, scale: float, x: Array, noise: Callable[[int], Array | float] = lambda _: 0.0) -> Array:
    """The same by what shifts are defined as: each row on y = x + shift·(D - D_without), its ε that of y and D."""
    levels, weights = _list_levels(plan), compute_weights(plan, scale).tolist()
    entries: list[Array] = []
    gaps: list[Array] = []
    saved = x
    for i, at in enumerate(levels):
        image, free = predict_images(x, at, weights[i])
        gaps.insert(0, image - free)
        y = x + plan.shift[i] * gaps[0]
        entries.insert(0, image if plan.images[i] else (y - at.alpha * image) / at.sigma)
        saved = y if plan.save[i] else saved
        x = plan.a[i] * y + plan.a_saved[i] * saved + plan.c[i] * noise(i)
        for weights_of_row, past in ((plan.b[i], entries), (plan.b_without[i], gaps)):
            x = x + sum(weight * value for weight, value in zip(weights_of_row, past, strict=False))
    return x


def rows_difference(rule: Rule, guidance: Guidance, points: Grid) -> float:
    """The largest difference of the two at the end, relative to the largest weight."""
    plan, scale = make_plan(rule, guidance, points)
    x, *noise = np.random.default_rng(4).standard_normal((plan.rows + 1, 7))
    x = x * THREE_GAUSSIANS.std(points[0])
    ends = [run(plan, scale, x, lambda i: noise[i]) for run in (run_guided, run_on_moved)]
    largest = max(1.0, float(np.abs(plan.b).max()), float(np.abs(ends[1]).max()))
    return float(np.abs(ends[0] - ends[1]).max()) / largest


def transport(plan: Plan, scale: float, x: Array, points: Grid) -> Array:
    """Where the guided field's ODE takes x: dx̄/dλ = -v·ε, x̄ = x/α, guided in each step as its first row says.

    By the classical Runge-Kutta method of order 4 in λ, in parts of steps; nothing of a plan's coefficients is used.
    """
    weights = compute_weights(plan, scale)[plan.step_starts].tolist()
    parts = -(-STAGES // len(weights))
    scaled = x / points[0].alpha
    for weight, now, to in zip(weights, points, points[1:], strict=False):
        h = (to.lam - now.lam) / parts

        def slope(scaled: Array, lam: float, weight: float = weight) -> Array:
            at = point_at_lam(lam)
            image, _ = predict_images(at.alpha * scaled, at, weight)
            return image - scaled  # -v·ε, since σ·ε = x - α·D

        for k in range(parts):
            lam = now.lam + k * h
            one = slope(scaled, lam)
            two = slope(scaled + h / 2 * one, lam + h / 2)
            three = slope(scaled + h / 2 * two, lam + h / 2)
            four = slope(scaled + h * three, lam + h)
            scaled = scaled + h / 6 * (one + 2 * two + 2 * three + four)
    return np.asarray(points[-1].alpha * scaled)


def guided_error(rule: Rule, guidance: Guidance, n: int) -> float:
    """The error at the end after `n` steps, uniform in λ."""
    points = by_lam(n)
    plan, scale = make_plan(rule, guidance, points)
    x = np.linspace(-1.8, 1.8, 7) * THREE_GAUSSIANS.std(points[0])
    return float(np.abs(run_guided(plan, scale, x) - transport(plan, scale, x, points)).max())


def guided_order(rule: Rule, guidance: Guidance) -> float:
    """By which power of the number of steps the error falls."""
    return log2(guided_error(rule, guidance, FEW) / guided_error(rule, guidance, MANY))


def expected_order(rule: Rule, guidance: Guidance) -> int:
    """The rule's own where guidance is the same in all rows; 1 where it changes, which the rule takes for the data's.

    Of a rule's own start-up as much is left as of a run without guidance.
    """
    plan, _ = make_plan(rule, guidance, by_lam(FEW))
    order = min(rule.order, rule.startup_order + 1)
    return order if np.ptp(plan.guided) == 0 else min(order, 1)


def _list_levels(plan: Plan) -> list[Point]:
    return [Point(a, s) for a, s in zip(plan.alpha.tolist(), plan.sigma.tolist(), strict=True)]
