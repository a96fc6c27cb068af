"""DPM-Solver++, single-step: exponential Runge-Kutta methods for x0 in λ; plain and ancestral."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import ancestral_noise
from dtool.samplers.engines.options import SCALED_NOISE, Ancestral, Middle, NoiseScale, Weights
from dtool.samplers.engines.runge_kutta import (
    explicit_step,
    is_end_step,
    kernel_mean,
    noisy_two_stage_step,
    point_at,
    point_between,
    three_stage_step,
    two_stage_step,
)
from dtool.samplers.rule import sampler


@sampler(
    "dpmpp-2s",
    order=2,
    calls=2,
    cite="arXiv:2211.01095, algorithm 1",
    family="Runge-Kutta",
    same=(
        Same("exp-heun-2", when={"r": 1, "weights": "exact"}),
        Same("seeds-2:eta=0", when={"r": 0.5, "weights": "half"}),
    ),
)
def dpmpp_2s(now, to, *, r: Middle = 0.5, weights: Weights = "half"):
    """DPM-Solver++(2S): x0 at a level r of the way in λ gives its slope over the step.

    Two network calls per step, order 2; one call where the step is to σ = 0 or from α = 0. It bears strong guidance
    better than methods that hold ε. dpmpp-2m is of the same order for one call.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    weight = 1 / (2 * r) if weights == "half" else kernel_mean(now.lam - to.lam) / r
    x, _ = yield from two_stage_step(now, to, point_between(now, to, r), weight, of="x0")
    return x


@sampler(
    "dpmpp-3s", order=3, calls=3, cite="arXiv:2211.01095, eq. 8, with arXiv:2206.00927's algorithm 2",
    family="Runge-Kutta", same=Same("seeds-3:eta=0"),
)  # fmt: skip
def dpmpp_3s(now, to):
    """DPM-Solver++(3S): x0 at a third and at two thirds of the way in λ.

    Three network calls per step, order 3; one call where the step is to σ = 0 or from α = 0.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    return (yield from three_stage_step(now, to, "x0"))


@sampler(
    "dpmpp-2s-ancestral",
    order=2,
    calls=2,
    cite="arXiv:2211.01095, algorithm 1, to the level of arXiv:2011.13456, appendix F",
    family="stochastic",
    same=Same("dpmpp-2s", when={"eta": 0}),
    breaks=SCALED_NOISE,
)
def dpmpp_2s_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0):
    """DPM-Solver++(2S) with r = ½ to a level below the next, and fresh noise up to it.

    Two network calls per step, and weak order 2: the ODE is followed to order 2, and the noise added is exactly the
    forward process's. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    noise = ancestral_noise(now, to, eta)

    def middle(low):
        return point_at(now, to, (now.lam + low.lam) / 2)

    return (yield from noisy_two_stage_step(now, to, z, noise, s_noise=s_noise, middle=middle, weight=1.0, of="x0"))
