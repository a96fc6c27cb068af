"""Certificate 1, marginals: every network input must have the law of the forward process. No network is called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtool.certify.grids import Grid
from dtool.certify.moments import moments
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Rule

BAR, WORST = 1e-10, 1e-3
ULPS = 8  # in the last place of a row's weights together


@dataclass(frozen=True)
class Deviation:
    """The largest |mean - α| and |variance - σ²| over all network inputs and the end, for x0 held at 1.

    rounding: what the weights of a row, rounded to float64, may miss a constant image by.
    """

    mean: float
    variance: float
    rounding: float


def allowed_deviation(points: Grid, rounding: float = 0.0) -> float:
    """What rounding allows: BAR; up to WORST where ε alone tells x0 from a level whose σ/α squared is beyond 1e6.

    rounding: that of the rows' weights, which are large where σ/α falls far in a step of several stages.
    """
    noisiest = max((p.v for p in points if p.alpha > 0), default=0.0)
    return max(BAR, min(max(1e-16 * noisiest**2, rounding), WORST))


def deviation(rule: Rule, points: Grid) -> Deviation:
    """How far the rule on this grid leaves the marginals N(α·x0, σ²) of the forward process.

    With x0 constant, x is a linear form of x0, of the first noise and of each z, whatever the network would be; its
    coefficients follow from the table alone. Inputs of stages inside an interval are examined too. The start is the
    exact marginal. Holds to 1e-15 in every right sampler, but for those that leave the marginals on purpose.
    """
    plan = compile_plan(rule, points, prediction="x0")
    means, variances = moments(plan, 1.0, 0.0)
    alpha, sigma = np.append(plan.alpha, points[-1].alpha), np.append(plan.sigma, points[-1].sigma)
    return Deviation(
        mean=float(np.abs(means - alpha).max()),
        variance=float(np.abs(variances - sigma**2).max()),
        rounding=ULPS * 2.0**-52 * float(np.abs(plan.b).sum(axis=1).max()),
    )
