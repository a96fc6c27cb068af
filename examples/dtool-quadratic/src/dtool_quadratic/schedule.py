"""The signal fades along a straight line, its power along a parabola."""

from typing import Annotated

from pydantic import Field

import dtool


@dtool.scheduler("quadratic-alpha", cite="after arXiv:2301.10972, section 2.1, where ᾱ(u) = 1-u")
def quadratic_alpha(
    *,
    T: Annotated[int, Field(ge=1, description="training steps")] = 1000,  # noqa: N803
    max_beta: Annotated[float, Field(gt=0, le=1, description="cap on β; it acts on the last step only")] = 0.999,
) -> dtool.Schedule:
    """ᾱ(u) = (1-u)²: of the image, the share α = 1-u is left, less by the same amount at every step."""
    return dtool.from_alpha_bar(lambda u: (1 - u) ** 2, T, max_beta)
