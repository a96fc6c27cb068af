"""SEEDS: exponential Runge-Kutta methods for x0 in λ of the reverse SDE, whose stages share one path of the noise."""

from math import exp, expm1
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.dpm_solver_2s_3s import Middle, Weights
from dtool.samplers.euler_ancestral import LOUDER, NoiseScale
from dtool.samplers.one_step import one_step, sde_noise
from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import ended, lean, part

Strength = Annotated[
    float,
    Field(ge=0, le=1, description="strength of the reverse SDE, e^{-ηh} of the noise stays: 0 the ODE, 1 DDPM's SDE"),
]


@sampler(
    "seeds-2",
    order=2,
    calls=2,
    cite="arXiv:2305.14267, SEEDS-2",
    family="stochastic",
    same={"dpmpp-2s": "eta=0,r=0.5,weights=half", "exp-heun-2:eta=1": "eta=1,r=1,weights=exact,s_noise=1"},
    breaks=LOUDER,
)
def seeds_2(now, to, z, *, eta: Strength = 1.0, r: Middle = 0.5, weights: Weights = "half", s_noise: NoiseScale = 1.0):
    """SEEDS-2: x0 at a level r of the way in λ gives its slope; the noise of the first stage goes on to the second.

    Two network calls a step, and order 2: of the reverse SDE in the weak sense, of the ODE with η = 0. One call where
    the step is to σ = 0, without noise, or from α = 0. Unlike dpmpp-sde, both stages lie on one path of the noise.
    """
    if ended(now, to):
        return one_step(now, to, s_noise * z, _noise(now, to, eta))
    at = part(now, to, r)
    start = _reach(now, at, eta) * now.x0
    mid = yield _carried(now, 0, at, eta) + start + s_noise * _noise(now, at, eta) * z, at
    weight = 1 / (2 * r) if weights == "half" else lean((1 + eta) * (now.lam - to.lam)) / r
    whole = _reach(now, to, eta) * (now.x0 + weight * (mid.x0 - now.x0))
    return _carried(mid, start, to, eta) + whole + s_noise * _noise(mid, to, eta) * mid.z


@sampler(
    "seeds-3",
    order=2,
    calls=3,
    cite="arXiv:2305.14267, SEEDS-3",
    family="stochastic",
    same={"dpmpp-3s": "eta=0"},
    orders=lambda eta, **_: (3, 3) if eta == 0 else (2, 2),
    breaks=LOUDER,
)
def seeds_3(now, to, z, *, eta: Strength = 1.0, s_noise: NoiseScale = 1.0):
    """SEEDS-3: x0 at a third and at two thirds of the way in λ; the noise of each stage goes on to the next.

    Three network calls a step; order 3 with η = 0, and weak order 2 with noise, against which a third order of the
    drift alone is no help. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    if ended(now, to):
        return one_step(now, to, s_noise * z, _noise(now, to, eta))
    y = (1 + eta) * (now.lam - to.lam)
    at, later = part(now, to, 1 / 3), part(now, to, 2 / 3)
    first = _reach(now, at, eta) * now.x0
    one = yield _carried(now, 0, at, eta) + first + s_noise * _noise(now, at, eta) * z, at
    second = _reach(now, later, eta) * (now.x0 + 2 * lean(2 * y / 3) * (one.x0 - now.x0))
    two = yield _carried(one, first, later, eta) + second + s_noise * _noise(one, later, eta) * one.z, later
    third = _reach(now, to, eta) * (now.x0 + 1.5 * lean(y) * (two.x0 - now.x0))
    return _carried(two, second, to, eta) + third + s_noise * _noise(two, to, eta) * two.z


@sampler(
    "exp-heun-2",
    order=2,
    calls=2,
    cite="arXiv:2305.14267, SEEDS-2 with its second stage at the end of the step",
    family="Runge-Kutta",
    same={"dpmpp-2s:r=1,weights=exact": "eta=0", "seeds-2:r=1,weights=exact": "eta=1,s_noise=1"},
    breaks=LOUDER,
)
def exp_heun_2(now, to, z, *, eta: Strength = 0.0, s_noise: NoiseScale = 1.0):
    """Exponential Heun for x0 in λ: x0 at both ends of the step.

    Two network calls a step, and order 2, weak order 2 with η > 0; one call where the step is to σ = 0 or from α = 0.
    The second call is at the next level of the grid, so that the network is asked for no level of its own.
    """
    return (yield from seeds_2.step(now, to, z, eta=eta, r=1.0, weights="exact", s_noise=s_noise))


def _reach(now: Any, at: Any, eta: float) -> float:
    """What a step of the SDE multiplies a constant x0 with: α(1 - e^{-(1+η)h})."""
    return -float(at.alpha) * expm1((1 + eta) * (now.lam - at.lam))


def _carried(node: Any, drift: Any, to: Any, eta: float) -> Any:
    """What x at `node`, without the images in it, has become at `to`; noise that has been drawn before is in it."""
    return to.sigma / node.sigma * exp(eta * (node.lam - to.lam)) * (node.x - drift)


def _noise(now: Any, to: Any, eta: float) -> float:
    """The standard deviation of what the SDE adds on the way."""
    return sde_noise(now, to, eta) if eta else 0.0
