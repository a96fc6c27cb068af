"""What a run takes for granted, and is not so: said before it begins."""

from __future__ import annotations

import warnings
from math import sqrt

from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan

MOST_SIGNAL = 0.2  # of the image, in a start that is taken for pure noise: a twenty-fifth of the variance


class AssumptionWarning(UserWarning):
    """The result rests on something that is not quite so."""


def warn_of_assumptions(network: Network, plan: Plan, *, from_noise: bool) -> None:
    """Warn if a run from pure noise begins where there should be an image too, or the network hears other times."""
    if from_noise:
        warn_of_start(plan)
    network.warn_of_times(network.tell(plan.time))


def warn_of_start(plan: Plan) -> None:
    """Warn if a plan begins at a level where pure noise is not what the network was trained to see."""
    signal = sqrt(plan.alpha_bar[0])
    if signal > MOST_SIGNAL and not plan.inverse and plan.fit is None:
        warnings.warn(
            f"{plan.recipe} starts from pure noise at t={plan.time[0]:.4g}, where x is {signal:.2g} of the image: "
            "begin with more noise, or with an x of that level",
            AssumptionWarning,
            stacklevel=4,
        )
