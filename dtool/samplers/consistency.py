"""Consistency models, multistep sampling."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Breaks, Same
from dtool.samplers.engines.one_step import noise_above
from dtool.samplers.engines.options import RENOISING_CAVEAT
from dtool.samplers.rule import sampler


@sampler(
    "consistency",
    order=1,
    cite="arXiv:2303.01469, algorithm 1",
    family="distilled",
    same=Same("lcm:scaling=0", when={"sigma_min": 0}),
    breaks=Breaks(f"{RENOISING_CAVEAT}, and the noise is less by that of σ_min"),
)
def consistency(
    now,
    to,
    z,
    *,
    sigma_min: Annotated[float, Field(ge=0, description="σ/α of the images that the network was taught")] = 0.002,
):
    """Multistep consistency sampling: the image that the network predicts, then noise up to the next level.

    One network call per step, for consistency models, in 1 to 4 steps; with an ordinary network the samples stay too
    smooth. A consistency model predicts the image at its least noise σ_min, not at none, so √(v'² - σ_min²) is added
    (v = σ/α) and the last step, to the image, is its prediction as it stands.
    """
    return to.alpha * now.x0 + noise_above(to, min(sigma_min, to.v)) * z
