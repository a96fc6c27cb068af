"""DPM-2 as k-diffusion has it, the midpoint method with its middle in log v; plain and ancestral."""

from math import log
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import ancestral_noise
from dtool.samplers.engines.options import SCALED_NOISE, Ancestral, NoiseScale
from dtool.samplers.engines.runge_kutta import (
    explicit_step,
    is_end_step,
    noisy_two_stage_step,
    point_at,
    two_stage_step,
)
from dtool.samplers.rule import sampler

Power = Annotated[
    float,
    Field(ge=0, le=1, description="the middle is that of v^power: 0 of log v, 1/3 as in consistency models, 1 of v"),
]


@sampler(
    "dpm2",
    order=2,
    calls=2,
    cite="arXiv:2206.00364, algorithm 1 with the middle of arXiv:2206.00927, algorithm 1",
    family="Runge-Kutta",
    same=(Same("dpm-solver-2s", when={"power": 0}), Same("heun:alpha=0.5", when={"power": 1})),
)
def dpm2(now, to, *, power: Power = 0.0):
    """The midpoint method: ε in the middle of the step, held over the whole of it.

    Two network calls per step, order 2; one call where the step is to σ = 0 or from α = 0. The middle of log v is
    nearer to the clean end than that of v, which suits steps that are long in v.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    x, _ = yield from two_stage_step(now, to, _middle(now, to, to, power), 1.0)
    return x


@sampler(
    "dpm2-ancestral",
    order=2,
    calls=2,
    cite="arXiv:2206.00927, algorithm 1, to the level of arXiv:2011.13456, appendix F",
    family="stochastic",
    same=Same("dpm2", when={"eta": 0, "power": 0}),
    breaks=SCALED_NOISE,
)
def dpm2_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0, power: Power = 0.0):
    """The midpoint method to a level below the next, and fresh noise up to it.

    Two network calls per step, and weak order 2: the ODE is followed to order 2, and the noise added is exactly the
    forward process's. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    noise = ancestral_noise(now, to, eta)

    def middle(low):
        return _middle(now, low, to, power)

    return (yield from noisy_two_stage_step(now, to, z, noise, s_noise=s_noise, middle=middle, weight=1.0))


def _middle(now: Any, low: Any, to: Any, power: float) -> Any:
    """The level in the middle of v^power between `now` and `low`, in the coordinates of `now` and `to`."""
    if power == 0:
        return point_at(now, to, (now.lam + low.lam) / 2)
    ratio = (low.v / now.v) ** power
    return point_at(now, to, now.lam - log((1 + ratio) / 2) / power)
