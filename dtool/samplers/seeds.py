"""SEEDS: exponential Runge-Kutta methods for x0 in λ of the reverse SDE, whose stages share one path of the noise."""

from math import exp, expm1
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import one_step, sde_noise
from dtool.samplers.engines.options import SCALED_NOISE, Middle, NoiseScale, Weights
from dtool.samplers.engines.runge_kutta import is_end_step, kernel_mean, point_between
from dtool.samplers.rule import sampler

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
    same=(
        Same("dpmpp-2s", when={"eta": 0, "r": 0.5, "weights": "half"}),
        Same("exp-heun-2:eta=1", when={"eta": 1, "r": 1, "weights": "exact", "s_noise": 1}),
    ),
    breaks=SCALED_NOISE,
)
def seeds_2(now, to, z, *, eta: Strength = 1.0, r: Middle = 0.5, weights: Weights = "half", s_noise: NoiseScale = 1.0):
    """SEEDS-2: x0 at a level r of the way in λ gives its slope; the noise of the first stage goes on to the second.

    Two network calls per step, and order 2: of the reverse SDE in the weak sense, of the ODE with η = 0. One call where
    the step is to σ = 0, without noise, or from α = 0. Unlike dpmpp-sde, both stages lie on one path of the noise.
    """
    if is_end_step(now, to):
        return one_step(now, to, s_noise * z, _noise_std(now, to, eta))
    at = point_between(now, to, r)
    start = _x0_weight(now, at, eta) * now.x0
    mid = yield _homogeneous_part(now, 0, at, eta) + start + s_noise * _noise_std(now, at, eta) * z, at
    weight = 1 / (2 * r) if weights == "half" else kernel_mean((1 + eta) * (now.lam - to.lam)) / r
    whole = _x0_weight(now, to, eta) * (now.x0 + weight * (mid.x0 - now.x0))
    return _homogeneous_part(mid, start, to, eta) + whole + s_noise * _noise_std(mid, to, eta) * mid.z


@sampler(
    "seeds-3",
    order=2,
    calls=3,
    cite="arXiv:2305.14267, SEEDS-3",
    family="stochastic",
    same=Same("dpmpp-3s", when={"eta": 0}),
    orders=lambda eta, **_: (3, 3) if eta == 0 else (2, 2),
    breaks=SCALED_NOISE,
)
def seeds_3(now, to, z, *, eta: Strength = 1.0, s_noise: NoiseScale = 1.0):
    """SEEDS-3: x0 at a third and at two thirds of the way in λ; the noise of each stage goes on to the next.

    Three network calls per step; order 3 with η = 0, and weak order 2 with noise, against which a third order of the
    drift alone is no help. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    if is_end_step(now, to):
        return one_step(now, to, s_noise * z, _noise_std(now, to, eta))
    y = (1 + eta) * (now.lam - to.lam)
    at, later = point_between(now, to, 1 / 3), point_between(now, to, 2 / 3)
    first = _x0_weight(now, at, eta) * now.x0
    one = yield _homogeneous_part(now, 0, at, eta) + first + s_noise * _noise_std(now, at, eta) * z, at
    second = _x0_weight(now, later, eta) * (now.x0 + 2 * kernel_mean(2 * y / 3) * (one.x0 - now.x0))
    two = yield (
        _homogeneous_part(one, first, later, eta) + second + s_noise * _noise_std(one, later, eta) * one.z,
        later,
    )
    third = _x0_weight(now, to, eta) * (now.x0 + 1.5 * kernel_mean(y) * (two.x0 - now.x0))
    return _homogeneous_part(two, second, to, eta) + third + s_noise * _noise_std(two, to, eta) * two.z


@sampler(
    "exp-heun-2",
    order=2,
    calls=2,
    cite="arXiv:2305.14267, SEEDS-2 with its second stage at the end of the step",
    family="Runge-Kutta",
    same=(
        Same("dpmpp-2s:r=1,weights=exact", when={"eta": 0}),
        Same("seeds-2:r=1,weights=exact", when={"eta": 1, "s_noise": 1}),
    ),
    breaks=SCALED_NOISE,
)
def exp_heun_2(now, to, z, *, eta: Strength = 0.0, s_noise: NoiseScale = 1.0):
    """Exponential Heun for x0 in λ: x0 at both ends of the step.

    Two network calls per step, and order 2, weak order 2 with η > 0; one call where the step is to σ = 0 or from α = 0.
    The second call is at the next level of the grid, so that the network is asked for no level of its own.
    """
    return (yield from seeds_2.step(now, to, z, eta=eta, r=1.0, weights="exact", s_noise=s_noise))


def _x0_weight(now: Any, at: Any, eta: float) -> float:
    """What a step of the SDE multiplies a constant x0 with: α(1 - e^{-(1+η)h})."""
    return -float(at.alpha) * expm1((1 + eta) * (now.lam - at.lam))


def _homogeneous_part(node: Any, drift: Any, to: Any, eta: float) -> Any:
    """What x at `node`, without the images in it, has become at `to`; noise that has been drawn before is in it."""
    return to.sigma / node.sigma * exp(eta * (node.lam - to.lam)) * (node.x - drift)


def _noise_std(now: Any, to: Any, eta: float) -> float:
    """The standard deviation of what the SDE adds on the way."""
    return sde_noise(now, to, eta) if eta else 0.0
