"""Guidance in a plan: how strong it is in each row, and what a row costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance, Level
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.recipe import split_guidance


def guide(plan: Plan, guidance: Guidance, progress: Column | None = None) -> Plan:
    """The plan with this guidance in its rows; raises UsageError if it says its own already.

    progress: how far along the run each row is, 0 … 1 `(rows,)`, where that is not its share of the rows.

    >>> plan = dtool.plan.guide(dtool.plan("ddim", steps=8), dtool.get_guidance("3@-1.3:0.3"))
    >>> plan.guided.tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    """
    if plan.guidance:
        raise UsageError(f"{plan.recipe} names its guidance already", "leave out --guidance (guidance=)")
    if plan.inverse:
        raise UsageError(f"{plan.recipe} leads from an image to its noise, without guidance", "leave out guidance")
    if progress is None:
        progress = compute_progress(plan)
    columns = (plan.alpha, plan.sigma, plan.lam, progress)
    rows = [guidance(Level(*level)) for level in zip(*(column.tolist() for column in columns), strict=True)]
    return replace(
        plan,
        recipe=f"{plan.recipe}~{guidance.token}",
        guidance=guidance.token,
        scale=guidance.scale,
        rescale=guidance.rescale,
        guided=np.array([row.strength for row in rows]),
        shift=np.array([row.shift for row in rows]),
    )


def set_scale(plan: Plan, scale: float) -> Plan:
    """The plan with this scale for the guidance that it names; raises UsageError for a guidance that is not known.

    >>> plan = dtool.plan.guiding.set_scale(dtool.plan("ddim~cfgpp", steps=4), 0.6)
    >>> plan.recipe, plan.scale
    ('ddim~cfgpp:scale=0.6', 0.6)
    """
    rows = plan.rows
    unguided = replace(
        plan, recipe=split_guidance(plan.recipe)[0], guidance="", scale=None, rescale=0.0, guided=np.ones(rows),
        shift=np.zeros(rows),
    )  # fmt: skip
    return guide(unguided, get_guidance(plan.guidance, scale=scale))


def compute_progress(plan: Plan) -> Column:
    """How far along the run each row is: 0 in the first, 1 in the last `(rows,)`."""
    return np.arange(plan.rows) / max(plan.rows - 1, 1)


def compute_weights(plan: Plan, scale: float) -> Column:
    """The scale in each row, `(rows,)`: 1 + guided·(scale - 1), exactly `scale` where guided is 1."""
    return plan.guided * scale + (1 - plan.guided)


def find_double_rows(plan: Plan, scale: float) -> NDArray[np.bool_]:
    """The rows that evaluate the network with and without the conditions, `(rows,)`; the others evaluate it once."""
    weights = compute_weights(plan, scale)
    doubled: NDArray[np.bool_] = (weights != 0) & ((weights != 1) | plan.compares)
    return doubled


def has_comparison(plan: Plan, scale: float) -> bool:
    """Whether anything depends on what the network says without the conditions."""
    return bool((compute_weights(plan, scale) != 1).any() or plan.compares.any())


def count_evaluations(plan: Plan, scale: float) -> int:
    """How often the network is evaluated for each image, guided at this scale.

    >>> dtool.plan.count_evaluations(dtool.plan("ddim~3@-1.3:0.3", steps=20), 3.0)
    26
    """
    return plan.rows + int(find_double_rows(plan, scale).sum())
