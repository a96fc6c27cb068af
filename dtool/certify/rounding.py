"""What a run loses on a schedule to float32, where networks answer: the whole image, if it has little signal."""

from __future__ import annotations

import numpy as np

from dtool.certify.combination import gains
from dtool.certify.result import largest
from dtool.errors import CompileError
from dtool.plan import compile as compile_plan
from dtool.plan import grid
from dtool.plan.compiled_plan import Plan
from dtool.plan.reference import Answer, run_rows
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing
from dtool.util.arrays import Array

BAR = 0.25  # half of the data's standard deviation
ULP = 2.0**-24  # what float32 rounds off
STEPS = (1, 10)


def rounding_loss(rule: Rule, levels: Schedule) -> tuple[float, Prediction]:
    """(difference, prediction): by how much x at the end changes if the network's answers are rounded, at most.

    On data N(0, ¼), whose optimal network is linear, with each of the predictions that can start on this schedule,
    in one step and in ten. ∞ where x is not finite.
    """
    losses: list[tuple[float, Prediction]] = []
    predictions: tuple[Prediction, ...] = ("eps", "x0", "v")
    for prediction in predictions:
        for n in STEPS:
            try:
                points = grid(levels, get_spacing("trailing"), min(n, levels.T))
                plan = compile_plan(rule, points, prediction=prediction, schedule=levels)
            except CompileError:
                if prediction == "eps" and levels.alpha[-1] == 0:
                    continue  # The compiler refuses it: ε says nothing of the image there.
                raise
            with np.errstate(all="ignore"):
                losses.append((largest([float(np.abs(_run_rounded(plan) - _run_exact(plan)).max())]), prediction))
    return max(losses)


def describe_loss(levels: Schedule, prediction: Prediction) -> str:
    """The explanation for a schedule on which too much is lost."""
    share = f"ᾱ = {levels.alpha_bar[-1]:.2g} at its last level"
    if prediction == "eps":
        return (
            f"{share}: an image computed from the predicted noise is nothing but rounding there;"
            " end at exactly 0 (zero_snr=true) or with more signal"
        )
    return f"{share}: a run with {prediction} predictions is lost to rounding"


def _run_exact(plan: Plan) -> Array:
    return _run_in_precision(plan, np.float64, 0.0)


def _run_rounded(plan: Plan) -> Array:
    return _run_in_precision(plan, np.float32, ULP)


def _run_in_precision(plan: Plan, kind: type[np.floating], error: float) -> Array:
    """x at the end, computed in this precision; each answer has this relative error, its sign drawn from one seed."""
    random = np.random.default_rng(0)
    gain = gains(plan, plan.prediction).tolist()
    m_x, m_f = plan.m_x.tolist(), plan.m_f.tolist()

    def ask(x: Array, i: int) -> Answer:
        output = gain[i] * x * (1 + kind(error) * random.choice([-1.0, 1.0], x.size).astype(kind))
        return Answer(m_x[i] * x + m_f[i] * output)

    start = (plan.init * np.linspace(-2, 2, 9)).astype(kind)
    return np.asarray(run_rows(plan, ask, start), dtype=np.float64)
