"""Ancestral sampling along a rectified flow."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import noise_above, one_step
from dtool.samplers.rule import sampler


@sampler(
    "flow-ancestral",
    order=1,
    cite="arXiv:2011.13456, appendix F, in the time of arXiv:2209.03003",
    family="flow",
    same=Same("euler", when={"eta": 0}),
)
def flow_ancestral(
    now, to, z, *, eta: Annotated[float, Field(ge=0, le=1, description="0: Euler's method, 1: most noise")] = 1.0
):
    """Euler-ancestral with the flow's own time s = σ/(α+σ): down to s'(1 + η(s'/s - 1)), then noise up to s'.

    One network call per step, order 1. The form that ancestral sampling has for flow models (SD3, Flux): with η = 1 a
    step falls to s'²/s, a ratio of times where `euler-ancestral` takes one of σ/α. In other coordinates than the
    flow's it is the same method on x/(α+σ). The last step, to the image, adds no noise.
    """
    if to.sigma == 0:
        return one_step(now, to)
    time, target = now.sigma / (now.alpha + now.sigma), to.sigma / (to.alpha + to.sigma)
    down = target * (1 + eta * (target / time - 1))
    return one_step(now, to, z, noise_above(to, down / (1 - down)) if eta else 0.0)
