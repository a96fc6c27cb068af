"""Latent consistency models: the predicted image, noised again."""

from math import hypot, isfinite
from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Breaks, Same
from dtool.samplers.engines.one_step import noise_above, one_step
from dtool.samplers.engines.options import RENOISING_CAVEAT
from dtool.samplers.rule import sampler


@sampler(
    "lcm",
    order=1,
    cite="arXiv:2310.04378, multistep sampling",
    family="distilled",
    same=Same("consistency:sigma_min=0", when={"scaling": 0}),
    breaks=Breaks(RENOISING_CAVEAT),
)
def lcm(
    now,
    to,
    z,
    *,
    scaling: Annotated[
        float, Field(ge=0, description="timestep scaling of the boundary condition; 0: none, published models: 10")
    ] = 0.0,
):
    """LCM: the image that the network predicts, then noise up to the next level, all of it fresh.

    One network call per step, for networks distilled to jump, in 1 to 8 steps; with an ordinary network the samples
    stay too smooth at any number of steps. `scaling` s mixes in x as the paper's boundary condition does, with
    c_skip = σ_d²/((s·t)² + σ_d²), c_out = s·t/√((s·t)² + σ_d²), σ_d = ½: of note at the lowest levels only, and not
    at all where a level has no time. The last step, to the image, adds no noise.
    """
    time = scaling * now.t
    if not (scaling and isfinite(time)):
        return one_step(now, to, z, noise_above(to, 0.0))
    data = 0.5
    skip, out = data**2 / (time**2 + data**2), time / hypot(time, data)
    return to.alpha * (skip * now.x + out * now.x0) + to.sigma * z
