"""Two names for one method: plans compared as linear maps, whatever the basis and the coordinates that they are in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from dtool.errors import UsageError
from dtool.plan import Plan, Point, Recipe
from dtool.plan import compile as compile_plan
from dtool.plan.unrolled import unrolled
from dtool.samplers.claims import CONDITIONS
from dtool.samplers.rule import Rule
from dtool.testing import grids
from dtool.testing.grids import Grid
from dtool.testing.result import largest
from dtool.testing.targets import Array

BAR = 1e-9
ON_GRIDS = CONDITIONS
_OPTION = re.compile(r"(\w+)=(\S+)")


def distance(one: Plan, other: Plan, ends: tuple[Point, Point]) -> float:
    """How far two plans are from being one method: the largest difference of their coefficients, ∞ if calls differ.

    Noise is compared in law, by the covariance of all x̄; both in units of 1 + σ/α at the level.
    """
    if one.rows != other.rows:
        return float("inf")
    v, other_v = (_levels(plan, end) for plan, end in zip((one, other), ends, strict=True))
    if np.abs(v - other_v).max() > BAR * v.max():
        return float("inf")
    (signal, noise), (other_signal, other_noise) = _scaled(one, ends[0]), _scaled(other, ends[1])
    scale = 1 + v[:, None]
    covariance = noise @ noise.T - other_noise @ other_noise.T
    differences = (signal - other_signal) / scale, covariance / (scale * scale.T)
    return largest(float(np.abs(difference).max()) for difference in differences)


def _scaled(plan: Plan, end: Point) -> tuple[Array, Array]:
    """`unrolled` in x̄ = x/α, the start included."""
    signal, noise = unrolled(plan)
    alpha = np.append(plan.alpha, end.alpha)[:, None]
    signal = np.concatenate([signal[:, :1] * alpha[0], signal[:, 1:]], axis=1)
    return signal / alpha, noise / alpha


def _levels(plan: Plan, end: Point) -> Array:
    """σ/α at every call and at the end."""
    return np.asarray(np.append(plan.sigma, end.sigma) / np.append(plan.alpha, end.alpha))


def apart(one: Rule, other: Rule, points: Grid) -> float:
    """`distance` of two rules on one grid, which has signal everywhere."""
    plans = [compile_plan(rule, points, prediction="x0") for rule in (one, other)]
    return distance(plans[0], plans[1], (points[-1], points[-1]))


def claims(rule: Rule) -> Iterator[tuple[str, Rule, Rule, list[Grid]]]:
    """(claim in words, the rule, the other, grids) for each entry of `rule.same`.

    A condition is options, `option=value`, and one of ON_GRIDS, with commas between; "" is always. An option goes to
    the rule, to the other, or to both, whichever has it and takes the value.
    Raises UsageError for a condition that is none of these: what cannot be examined is not claimed.
    """
    for recipe, condition in rule.same.items():
        options, where = _read(recipe, condition)
        one, other = _with(rule, options), _with(Recipe.parse(recipe).rule, options)
        refused = [f"{k}={v}" for k, v in options.items() if k not in dict(one[1] + other[1])]
        if one[0] == other[0]:
            raise UsageError(f"same as {recipe}: that is this rule itself", "name another sampler, or other options")
        if refused:
            raise UsageError(f"same as {recipe}: neither takes {', '.join(refused)}", "mend the condition")
        yield f"{one[0].token} = {other[0].token}{where and ', ' + where}", one[0], other[0], _grids(where)


def _read(recipe: str, condition: str) -> tuple[dict[str, str], str]:
    """(options, kind of grid) of a condition."""
    options, where = {}, ""
    for part in filter(None, (part.strip() for part in condition.split(","))):
        if match := _OPTION.fullmatch(part):
            options[match[1]] = match[2]
        elif part in ON_GRIDS:
            where = part
        else:
            raise UsageError(
                f"same as {recipe}: the condition {part!r} cannot be examined",
                f"write option=value, or one of: {', '.join(ON_GRIDS)}",
            )
    return options, where


def _with(rule: Rule, options: dict[str, str]) -> tuple[Rule, list[tuple[str, str]]]:
    """The rule with those of the options that it has and takes, and which these are."""
    taken = []
    for name, value in options.items():
        if name in rule.model.model_fields:
            try:
                rule = rule.bind(**{**dict(rule.options), name: value})
            except UsageError:
                continue
            taken.append((name, value))
    return rule, taken


def _grids(kind: str) -> list[Grid]:
    if kind == ON_GRIDS[0]:
        return [grids.by_lam(9), grids.by_lam(24)]
    if kind == ON_GRIDS[1]:
        return [tuple(grids.at(-float(np.log(v))) for v in np.linspace(20, 0.5, n + 1)) for n in (9, 24)]
    if kind == ON_GRIDS[2]:
        return [grids.by_lam(1), grids.random(1, 0, clean=True)]
    return [grids.by_lam(12, "uneven"), grids.up_again(8), *(grids.random(9, s, clean=s % 2 == 0) for s in range(4))]
