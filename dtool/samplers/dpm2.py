"""DPM-2 as k-diffusion has it, the midpoint method with its middle in log v; plain and ancestral."""

from math import log
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.euler_ancestral import LOUDER, Ancestral, NoiseScale
from dtool.samplers.one_step import ancestral_noise, one_step
from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import down, ended, explicit, level, two_stages

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
    same={"dpm-solver-2s": "power=0", "heun:alpha=0.5": "power=1"},
)
def dpm2(now, to, *, power: Power = 0.0):
    """The midpoint method: ε in the middle of the step, held over the whole of it.

    Two network calls a step, order 2; one call where the step is to σ = 0 or from α = 0. The middle of log v is
    nearer to the clean end than that of v, which suits steps that are long in v.
    """
    if ended(now, to):
        return explicit(now, to)
    x, _ = yield from two_stages(now, to, _middle(now, to, to, power), 1.0)
    return x


@sampler(
    "dpm2-ancestral",
    order=2,
    calls=2,
    cite="arXiv:2206.00927, algorithm 1, to the level of arXiv:2011.13456, appendix F",
    family="stochastic",
    same={"dpm2": "eta=0,power=0"},
    breaks=LOUDER,
)
def dpm2_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0, power: Power = 0.0):
    """The midpoint method to a level below the next, and fresh noise up to it.

    Two network calls a step, and weak order 2: the ODE is followed to order 2, and the noise added is exactly the
    forward process's. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    noise = ancestral_noise(now, to, eta)
    if ended(now, to):
        return one_step(now, to, s_noise * z, noise)
    low = down(to, noise)
    x, mid = yield from two_stages(now, low, _middle(now, low, to, power), 1.0)
    return x + s_noise * noise * mid.z


def _middle(now: Any, low: Any, to: Any, power: float) -> Any:
    """The level in the middle of v^power between `now` and `low`, in the coordinates of `now` and `to`."""
    if power == 0:
        return level(now, to, (now.lam + low.lam) / 2)
    ratio = (low.v / now.v) ** power
    return level(now, to, now.lam - log((1 + ratio) / 2) / power)
