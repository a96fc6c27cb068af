"""Trajectory consistency distillation: strategic stochastic sampling."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Breaks, Same
from dtool.samplers.engines.one_step import noise_above, one_step
from dtool.samplers.engines.options import RENOISING_CAVEAT
from dtool.samplers.rule import sampler
from dtool.schedulers.levels import compute_v


@sampler(
    "tcd",
    order=1,
    cite="arXiv:2402.19159, strategic stochastic sampling",
    family="distilled",
    same=Same("ddim", when={"gamma": 0}),
    breaks=Breaks(RENOISING_CAVEAT, unless={"gamma": 0}),
)
def tcd(now, to, z, *, gamma: Annotated[float, Field(ge=0, le=1, description="0: no fresh noise, 1: all")] = 0.3):
    """TCD: down along the predicted trajectory to an earlier time s = (1-γ)t' of the next time t', then noise up to t'.

    One network call per step, for networks distilled to jump (TCD, Hyper-SD), in 2 to 20 steps; order 1 with γ = 0,
    which is ddim. s is rounded down to a training step if t' is one, as the authors do; the time of a level that lies
    on no schedule is its σ/α. The last step, to the image, adds no noise.
    """
    return one_step(now, to, z, noise_above(to, _earlier_v(to, 1 - gamma)))


def _earlier_v(to, part: float) -> float:
    """σ/α at `part` of the time of the point `to`."""
    if to.schedule is None or to.t != to.t or part == 1:
        return part * to.v if to.sigma else 0.0
    time = part * to.t
    return float(compute_v(*to.schedule.level(time // 1 if to.t.is_integer() else time)))
