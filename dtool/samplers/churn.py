"""EDM's stochastic sampler: Euler's or Heun's method, with noise stirred in before each step ("churn")."""

from math import exp, inf, log, log1p
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import noise_above, one_step
from dtool.samplers.engines.options import SCALED_NOISE, NoiseScale
from dtool.samplers.engines.runge_kutta import noisy_two_stage_step, point_at
from dtool.samplers.rule import sampler

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
    same=Same("euler", when={"churn": 0, "gamma": 0}),
    breaks=SCALED_NOISE,
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

    One network call per step, order 1. The levels of the grid are those at which the network is called, EDM's t̂: the
    churn of a step is drawn at the end of the one before, and a grid of EDM's levels times 1 + γ gives EDM's steps.
    γ is at most √2 - 1. While it is not that large, churn = 1 is DDPM.
    """
    return one_step(now, to, s_noise * z, _churn_noise(now, to, churn, gamma, s_min, s_max))


@sampler(
    "edm-heun",
    order=2,
    calls=2,
    cite="arXiv:2206.00364, algorithm 2",
    family="stochastic",
    same=Same("heun", when={"churn": 0, "gamma": 0}),
    breaks=SCALED_NOISE,
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

    Two network calls per step, and weak order 2; one call in the last step, to σ = 0, and in a first step from α = 0.
    The levels of the grid are those at which a step begins, EDM's t̂, as in `edm-euler`. Its S_churn over n steps is
    gamma=S_churn/n, which has to fall as n grows: with the same γ in ever more steps there is no convergence. A churn
    of S_churn/ln(v_first/v_last) adds about as much, whatever n. γ is at most √2 - 1.
    """
    noise = _churn_noise(now, to, churn, gamma, s_min, s_max)

    def middle(low):
        return point_at(now, to, low.lam) if noise else to

    return (yield from noisy_two_stage_step(now, to, z, noise, s_noise=s_noise, middle=middle, weight=0.5))


def _churn_noise(now: Any, to: Any, churn: float, gamma: float, s_min: float, s_max: float) -> float:
    """The standard deviation of the noise that leads up to `to`, from σ/α less by the factor 1 + γ."""
    if to.sigma == 0 or churn + gamma == 0:
        return 0.0
    lift = min(log1p(gamma) if gamma else churn * (to.lam - now.lam), log(2) / 2)
    v = to.v * exp(-lift)
    return noise_above(to, v) if s_min <= v <= s_max else 0.0
