"""Guidance that is strongest in the middle of the run."""

from typing import Annotated

from pydantic import Field

import dtool


@dtool.guidance("tent", cite="after arXiv:2404.07724, section 3, whose interval has edges instead")
def tent(
    level: dtool.guidances.Level,
    *,
    middle: Annotated[float, Field(description="λ = log(α/σ) at which it is whole")] = -0.5,
    width: Annotated[float, Field(gt=0, description="how far in λ from there it is gone")] = 1.5,
) -> float:
    """The whole scale at one noise level, less on both sides, and none from a width away.

    A row far from the middle evaluates the network once instead of twice.
    """
    return max(0.0, 1 - abs(level.lam - middle) / width)
