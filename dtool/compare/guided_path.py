"""The guidance of a solution: as strong at each λ as in the plan that is judged, whatever the steps."""

from __future__ import annotations

import numpy as np

from dtool.errors import UsageError
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance, Level
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.guiding import compute_progress, guide

TRIED = (0.0, 0.37, 1.0)  # places along a run at which a guidance is asked whether they matter to it


def find_obstacle_of_guidance(plan: Plan) -> str:
    """Why a plan's guidance leads to no ODE whose solution could be told; "" if it does not."""
    if plan.b_without.any():
        return "its rule uses the prediction without conditions by itself, which is no ODE of the guided network"
    if not plan.guidance:
        usual = (plan.guided == 1).all() and not plan.shift.any()
        return "" if usual else "its guidance has no name, so that it cannot be had at other levels"
    try:
        guidance = get_guidance(plan.guidance)
    except UsageError:
        return f"its guidance {plan.guidance} is not registered, so that it cannot be had at other levels"
    if not guidance.has_limit:
        return f"its guidance {guidance.name} leads to no limit as steps are added, so that there is no ODE to solve"
    return "" if not plan.shift.any() else f"its guidance {guidance.name} moves x, which is no ODE of the network"


def guide_alike(plan: Plan, judged: Plan) -> Plan:
    """`plan`, guided at each λ as `judged` is: a guidance that grows along a run counts the run's progress as there."""
    if not judged.guidance:
        return plan
    starts = judged.step_starts
    progress = np.interp(_angles(plan), _angles(judged)[starts], compute_progress(judged)[starts])
    return guide(plan, get_guidance(judged.guidance), progress)


def identify_guidance(plan: Plan) -> tuple[str, str]:
    """What is equal for two plans whose guidance is equally strong at every λ: its token, and the plan if it matters.

    It matters to a guidance that grows along the run: there the steps decide where a λ lies.
    """
    if not plan.guidance:
        return "", ""
    try:
        guidance = get_guidance(plan.guidance)
    except UsageError:
        return plan.guidance, plan.hash
    return plan.guidance, plan.hash if _heeds_progress(guidance, plan) else ""


def _heeds_progress(guidance: Guidance, plan: Plan) -> bool:
    levels = list(zip(plan.alpha.tolist(), plan.sigma.tolist(), plan.lam.tolist(), strict=True))
    return any(len({guidance(Level(*level, place)) for place in TRIED}) > 1 for level in levels)


def _angles(plan: Plan) -> Column:
    """arctan(α/σ) of each row `(rows,)`: it rises with λ, and is finite where there is no signal."""
    return np.arctan2(plan.alpha, plan.sigma)
