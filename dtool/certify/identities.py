"""Two names for one method: plans compared as linear maps, whatever the basis and the coordinates that they are in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtool.certify import grids
from dtool.certify.grids import Grid
from dtool.certify.result import largest
from dtool.errors import UsageError
from dtool.plan import Plan, Point, Recipe
from dtool.plan import compile as compile_plan
from dtool.plan.linear_map import unroll
from dtool.samplers.claims import Steps
from dtool.samplers.rule import Rule
from dtool.schedulers.levels import lam_from_v
from dtool.util.arrays import Array

BAR = 1e-9


def distance(one: Plan, other: Plan, ends: tuple[Point, Point]) -> float:
    """How far two plans are from being one method: the largest difference of their coefficients, ∞ if calls differ.

    Noise is compared in law, by the covariance of all x̄; both in units of 1 + σ/α at the level.
    """
    if one.rows != other.rows:
        return float("inf")
    v, other_v = (_levels(plan, end) for plan, end in zip((one, other), ends, strict=True))
    if np.abs(v - other_v).max() > BAR * v.max():
        return float("inf")
    (signal, noise), (other_signal, other_noise) = _unroll_scaled(one, ends[0]), _unroll_scaled(other, ends[1])
    scale = 1 + v[:, None]
    covariance = noise @ noise.T - other_noise @ other_noise.T
    differences = (signal - other_signal) / scale, covariance / (scale * scale.T)
    return largest(float(np.abs(difference).max()) for difference in differences)


def _unroll_scaled(plan: Plan, end: Point) -> tuple[Array, Array]:
    """What `unroll` returns, in x̄ = x/α, the start included."""
    signal, noise = unroll(plan)
    alpha = np.append(plan.alpha, end.alpha)[:, None]
    signal = np.concatenate([signal[:, :1] * alpha[0], signal[:, 1:]], axis=1)
    return signal / alpha, noise / alpha


def _levels(plan: Plan, end: Point) -> Array:
    """σ/α at every call and at the end."""
    return np.asarray(np.append(plan.sigma, end.sigma) / np.append(plan.alpha, end.alpha))


def rule_distance(one: Rule, other: Rule, points: Grid) -> float:
    """`distance` of two rules on one grid, which has signal everywhere."""
    plans = [compile_plan(rule, points, prediction="x0") for rule in (one, other)]
    return distance(plans[0], plans[1], (points[-1], points[-1]))


def list_claims(rule: Rule) -> Iterator[tuple[str, Rule, Rule, list[Grid]]]:
    """(claim in words, the rule, the other, grids) for each entry of `rule.same`.

    Raises UsageError for a recipe that is not known, and for one that is the rule itself.
    """
    for claim in rule.same:
        one, other = rule.bind(**{**dict(rule.options), **(claim.when or {})}), Recipe.parse(claim.recipe).rule
        if (one.step, one.options) == (other.step, other.options):
            raise UsageError(
                f"same as {claim.recipe}: that is this rule itself", "name another sampler, or other options"
            )
        where = f", {claim.on.value}" if claim.on else ""
        yield f"{one.token} = {other.token}{where}", one, other, _make_grids(claim.on)


def _make_grids(steps: Steps | None) -> list[Grid]:
    if steps is Steps.EQUAL_IN_LAM:
        return [grids.by_lam(9), grids.by_lam(24)]
    if steps is Steps.EQUAL_IN_V:
        return [tuple(grids.point_at_lam(float(lam_from_v(v))) for v in np.linspace(20, 0.5, n + 1)) for n in (9, 24)]
    if steps is Steps.ONE:
        return [grids.by_lam(1), grids.random_grid(1, 0, clean=True)]
    return [
        grids.by_lam(12, "uneven"),
        grids.two_pass_grid(8),
        *(grids.random_grid(9, s, clean=s % 2 == 0) for s in range(4)),
    ]
