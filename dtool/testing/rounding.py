"""What a run loses on a schedule in float32, in which networks answer: rounding can be all there is."""

from __future__ import annotations

import numpy as np

from dtool.errors import CompileError
from dtool.plan import compile as compile_plan
from dtool.plan import grid
from dtool.plan.plan import Plan
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers import spacing
from dtool.schedulers.schedule import Schedule
from dtool.testing.combination import gains
from dtool.testing.result import largest
from dtool.testing.targets import Array

BAR = 0.25  # half of the data's standard deviation
ULP = 2.0**-24  # what float32 rounds off
STEPS = (1, 10)


def lost(rule: Rule, levels: Schedule) -> tuple[float, Prediction]:
    """(difference, prediction): by how much x at the end changes if the network's answers are rounded, at most.

    On data N(0, ¼), whose optimal network is linear, with each of the predictions that can start on this schedule,
    in one step and in ten. ∞ where x is not finite.
    """
    found: list[tuple[float, Prediction]] = []
    predictions: tuple[Prediction, ...] = ("eps", "x0", "v")
    for prediction in predictions:
        for n in STEPS:
            try:
                points = grid(levels, spacing("trailing"), min(n, levels.T))
                made = compile_plan(rule, points, prediction=prediction, schedule=levels)
            except CompileError:
                if prediction == "eps" and levels.alpha[-1] == 0:
                    continue  # said by the compiler: ε tells nothing of the image there
                raise
            with np.errstate(all="ignore"):
                found.append((largest([float(np.abs(_rounded(made) - _exact(made)).max())]), prediction))
    return max(found)


def reason(levels: Schedule, prediction: Prediction) -> str:
    """What to say of a schedule on which too much is lost."""
    share = f"ᾱ = {levels.alpha_bar[-1]:.2g} at its last level"
    if prediction == "eps":
        return (
            f"{share}: an image that is found from the predicted noise is all rounding there;"
            " end at exactly 0 (zero_snr=true) or with more signal"
        )
    return f"{share}: a run with {prediction} predictions is lost to rounding"


def _exact(plan: Plan) -> Array:
    return _walked(plan, np.float64, 0.0)


def _rounded(plan: Plan) -> Array:
    return _walked(plan, np.float32, ULP)


def _walked(plan: Plan, kind: type[np.floating], off: float) -> Array:
    """x at the end in this precision; answers are off by so much, up and down by chance that is always the same."""
    random = np.random.default_rng(0)
    gain = gains(plan, plan.prediction).astype(kind)
    a, a_saved, b, m_x, m_f = (np.asarray(c).astype(kind) for c in (plan.a, plan.a_saved, plan.b, plan.m_x, plan.m_f))
    x = saved = (plan.init * np.linspace(-2, 2, 9)).astype(kind)
    history: list[Array] = []
    for i in range(plan.rows):
        saved = x if plan.save[i] else saved
        answer = gain[i] * x * (1 + kind(off) * random.choice([-1.0, 1.0], 9).astype(kind))
        history = [m_x[i] * x + m_f[i] * answer, *history[: plan.history - 1]]
        x = a[i] * x + a_saved[i] * saved
        for weight, entry in zip(b[i], history, strict=False):
            x = x + weight * entry
    return np.asarray(x, dtype=np.float64)
