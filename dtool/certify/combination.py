"""What can be wrong with one combination of a rule, a grid and a prediction, judged from its plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtool.plan import Plan
from dtool.plan.compiled_plan import Column
from dtool.plan.reference import Answer, run_rows
from dtool.samplers.rule import Prediction, Rule

BAR = 1e-6  # how far the four predictions of one linear network may differ
_STD = 0.5  # of the data, N(0, ¼), whose optimal network is linear


def check_shape(rule: Rule, plan: Plan, n: int) -> str:
    """What is wrong with the numbers of steps and of network calls; "" if nothing is.

    An interval makes `rule.calls` calls; fewer at the first and the last, from α = 0 and while the history grows, as it
    does again where the grid has gone back to more noise.
    """
    if plan.steps != n:
        return f"{plan.steps} steps"
    calls = plan.calls_per_step
    if calls.max() > max(rule.calls, rule.startup_calls):
        return f"{calls.max()} network calls in one step; the rule states {rule.calls}"
    alpha, sigma = plan.alpha[plan.step_starts], plan.sigma[plan.step_starts]
    is_inner = alpha > 0
    is_inner[-1] = False
    for first in [0, *(1 + np.flatnonzero(_find_returns(alpha, sigma, inverse=plan.inverse)))]:
        is_inner[first : first + max(plan.history, 1)] = False
    inner_calls = calls[is_inner]
    if not np.isin(inner_calls, (rule.calls, rule.startup_calls)).all():
        return f"{inner_calls.min()} network calls in one step; the rule states {rule.calls}"
    return ""


def _find_returns(alpha: Column, sigma: Column, *, inverse: bool) -> NDArray[np.bool_]:
    """Between which steps the grid goes the other way, `(steps - 1,)`."""
    ahead, behind = sigma[:-1] * alpha[1:], sigma[1:] * alpha[:-1]
    returns: NDArray[np.bool_] = ahead > behind if inverse else ahead < behind
    return returns


def check_end(plan: Plan) -> str:
    """Whether x stays finite with the optimal linear network, float64, and noise of ±1; "" if it does."""
    gain = np.where(plan.images, gains(plan, "x0"), gains(plan, "eps")).tolist()
    x = run_rows(plan, lambda x, i: Answer(gain[i] * x), 1.0, lambda i: (-1.0) ** (i // 2))
    return "" if np.isfinite(x) else f"x ends at {x}"


def check_prediction(plan: Plan) -> str:
    """Whether the same linear network, read through this prediction, gives the same x0 and the same history."""
    output = gains(plan, plan.prediction)
    for name, value, expected in (
        ("x0", plan.c_skip + plan.c_out * output, gains(plan, "x0")),
        (plan.basis, plan.m_x + plan.m_f * output, np.where(plan.images, gains(plan, "x0"), gains(plan, "eps"))),
    ):
        error = float(np.abs(value - expected).max())
        if not error <= BAR:
            return f"{name} is off by {error:.2g}"
    return ""


def gains(plan: Plan, prediction: Prediction) -> Column:
    """F/x of the network that is optimal for data N(0, ¼)."""
    alpha, sigma = plan.alpha, plan.sigma
    power = alpha**2 * _STD**2 + sigma**2
    x0, eps = alpha * _STD**2 / power, sigma / power
    by_prediction = {"x0": x0, "eps": eps, "flow": eps - x0, "v": plan.c_in * (alpha * eps - sigma * x0)}
    return by_prediction[prediction]
