"""Options that several samplers have, and the caveats that come with them: one wording, one range."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dtool.samplers.claims import Breaks

Middle = Annotated[float, Field(gt=0, le=1, description="where the second call is, as a part of the step in λ")]
Weights = Annotated[
    Literal["half", "exact"],
    Field(description="of the second call: 1/2r, as in the paper, or what the exponential kernel asks"),
]
Ancestral = Annotated[
    float, Field(ge=0, le=1, description="part of DDPM's noise that a step draws anew (ancestral): 0 none, 1 all")
]
NoiseScale = Annotated[
    float, Field(ge=0, description="multiplies the standard deviation of the fresh noise; only 1 keeps the marginals")
]
LastOrders = Annotated[
    Literal["never", "last", "under-15", "always"],
    Field(
        description="take the last step at order 1; or the last ones at no higher order than there are steps left, in "
        "runs of fewer than 15 steps or in all"
    ),
]
UseClipped = Annotated[bool, Field(description="with clipping, whether ε too follows from the clipped image")]
SdeStrength = Annotated[float, Field(ge=0, le=1, description="0: the ODE, 1: the reverse SDE of DDPM")]

FULL: dict[str, Any] = {
    "lower_order_final": "never"
}  # the condition under which methods of two names are the same to the end

SCALED_NOISE = Breaks(
    "the fresh noise is scaled by s_noise, against what the network makes blurred", unless={"s_noise": 1}
)
RENOISING_CAVEAT = (
    "x0 is taken for a sample, as a distilled network's is; the mean that an ordinary network gives is too narrow"
)
