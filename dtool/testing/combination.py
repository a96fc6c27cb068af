"""What can be wrong with one combination of a rule, a grid and a prediction, seen from its plan."""

from __future__ import annotations

import numpy as np

from dtool.plan import Plan
from dtool.plan.plan import Column
from dtool.samplers.rule import Prediction, Rule

BAR = 1e-6  # how far the four predictions of one linear network may differ
_STD = 0.5  # of the data, N(0, ¼), whose optimal network is linear


def wrong_shape(rule: Rule, plan: Plan, n: int) -> str:
    """What is wrong with the numbers of steps and of network calls; "" if nothing is.

    An interval makes `rule.calls` calls; fewer at the first and the last, from α = 0 and while the history grows.
    """
    if plan.steps != n:
        return f"{plan.steps} steps"
    calls = np.diff(np.flatnonzero(plan.step_end), prepend=-1)
    if calls.max() > max(rule.calls, rule.startup_calls):
        return f"{calls.max()} network calls in a step; the rule states {rule.calls}"
    starts = np.flatnonzero(plan.step_end) + 1 - calls
    settled = calls[max(plan.history, 1) : -1][plan.alpha[starts[max(plan.history, 1) : -1]] > 0]
    if not np.isin(settled, (rule.calls, rule.startup_calls)).all():
        return f"{settled.min()} network calls in a step; the rule states {rule.calls}"
    return ""


def wrong_end(plan: Plan) -> str:
    """Whether x stays finite with the optimal linear network, float64, and made-up noise."""
    answer = np.where(plan.images, gains(plan, "x0"), gains(plan, "eps")).tolist()
    rows = zip(
        plan.a.tolist(), plan.a_saved.tolist(), plan.b.tolist(), plan.c.tolist(), plan.save.tolist(), strict=True
    )
    history: list[float] = []
    x = saved = 1.0
    for i, (a, a_saved, b, c, save) in enumerate(rows):
        saved = x if save else saved
        history = [answer[i] * x, *history[: plan.history - 1]]
        x = a * x + a_saved * saved + c * (-1.0) ** (i // 2)
        x += sum(weight * past for weight, past in zip(b, history, strict=False))
    return "" if np.isfinite(x) else f"x ends at {x}"


def wrong_prediction(plan: Plan) -> str:
    """Whether the same linear network, read through this prediction, gives the same x0 and the same history."""
    said = gains(plan, plan.prediction)
    for name, got, wanted in (
        ("x0", plan.c_skip + plan.c_out * said, gains(plan, "x0")),
        (plan.basis, plan.m_x + plan.m_f * said, np.where(plan.images, gains(plan, "x0"), gains(plan, "eps"))),
    ):
        off = float(np.abs(got - wanted).max())
        if not off <= BAR:
            return f"{name} is off by {off:.2g}"
    return ""


def gains(plan: Plan, prediction: Prediction) -> Column:
    """F/x of the network that is optimal for data N(0, ¼)."""
    alpha, sigma = plan.alpha, plan.sigma
    power = alpha**2 * _STD**2 + sigma**2
    x0, eps = alpha * _STD**2 / power, sigma / power
    made = {"x0": x0, "eps": eps, "flow": eps - x0, "v": plan.c_in * (alpha * eps - sigma * x0)}
    return made[prediction]
