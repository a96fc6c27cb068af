"""EDM's stochastic sampler: Euler's or Heun's method, with noise stirred in before each step ("churn")."""

from math import exp, inf, log, log1p
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.euler_ancestral import LOUDER, NoiseScale
from dtool.samplers.one_step import noise_above, one_step
from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import down, ended, level, two_stages

Churn = Annotated[float, Field(ge=0, description="how far a step of length h in λ is done over: γ = e^{churn·h} - 1")]
Gamma = Annotated[
    float, Field(ge=0, description="not 0: γ of every step whatever its length, EDM's S_churn/n, instead of churn")
]
Low = Annotated[float, Field(ge=0, description="S_min: no churn at levels σ/α below this")]
High = Annotated[float, Field(ge=0, description="S_max: no churn at levels σ/α above this")]


@sampler(
    "edm-euler",
    order=1,
    cite="arXiv:2206.00364, algorithm 2 without its second-order correction",
    family="stochastic",
    same={"euler": "churn=0,gamma=0"},
    breaks=LOUDER,
)
def edm_euler(
    now,
    to,
    z,
    *,
    churn: Churn = 1.0,
    gamma: Gamma = 0.0,
    s_min: Low = 0.0,
    s_max: High = inf,
    s_noise: NoiseScale = 1.0,
):
    """Euler's method with EDM's churn: each step goes below its end by the factor 1 + γ, and noise leads up to it.

    One network call a step, order 1. The levels of the grid are those at which the network is called, EDM's t̂: the
    churn of a step is drawn at the end of the one before, and a grid of EDM's levels times 1 + γ gives EDM's steps.
    γ is at most √2 - 1. While it is not that large, churn = 1 is DDPM.
    """
    return one_step(now, to, s_noise * z, _fresh(now, to, churn, gamma, s_min, s_max))


@sampler(
    "edm-heun",
    order=2,
    calls=2,
    cite="arXiv:2206.00364, algorithm 2",
    family="stochastic",
    same={"heun": "churn=0,gamma=0"},
    breaks=LOUDER,
)
def edm_heun(
    now,
    to,
    z,
    *,
    churn: Churn = 1.0,
    gamma: Gamma = 0.0,
    s_min: Low = 0.0,
    s_max: High = inf,
    s_noise: NoiseScale = 1.0,
):
    """Heun's method with EDM's churn: each step goes below its end by the factor 1 + γ, and noise leads up to it.

    Two network calls a step, and weak order 2; one call in the last step, to σ = 0, and in a first step from α = 0.
    The levels of the grid are those at which a step begins, EDM's t̂, as in `edm-euler`. Its S_churn over n steps is
    gamma=S_churn/n, which has to fall as n grows: with the same γ in ever more steps there is no convergence. A churn
    of S_churn/ln(v_first/v_last) adds about as much, whatever n. γ is at most √2 - 1.
    """
    noise = _fresh(now, to, churn, gamma, s_min, s_max)
    if ended(now, to):
        return one_step(now, to, s_noise * z, noise)
    low = down(to, noise)
    x, mid = yield from two_stages(now, low, level(now, to, low.lam) if noise else to, 0.5)
    return x + s_noise * noise * mid.z


def _fresh(now: Any, to: Any, churn: float, gamma: float, s_min: float, s_max: float) -> float:
    """The standard deviation of the noise that leads up to `to`, from σ/α less by the factor 1 + γ."""
    if to.sigma == 0 or churn + gamma == 0:
        return 0.0
    lift = min(log1p(gamma) if gamma else churn * (to.lam - now.lam), log(2) / 2)
    v = to.v * exp(-lift)
    return noise_above(to, v) if s_min <= v <= s_max else 0.0
