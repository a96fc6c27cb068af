"""DPM-Solver++, single-step: exponential Runge-Kutta methods for x0 in λ; plain and ancestral."""

from dtool.samplers.dpm_solver_2s_3s import Middle, Weights
from dtool.samplers.euler_ancestral import LOUDER, Ancestral, NoiseScale
from dtool.samplers.one_step import ancestral_noise, one_step
from dtool.samplers.rule import sampler
from dtool.samplers.runge_kutta import down, ended, explicit, lean, level, part, three_stages, two_stages


@sampler(
    "dpmpp-2s",
    order=2,
    calls=2,
    cite="arXiv:2211.01095, algorithm 1",
    family="Runge-Kutta",
    same={"exp-heun-2": "r=1,weights=exact", "seeds-2:eta=0": "r=0.5,weights=half"},
)
def dpmpp_2s(now, to, *, r: Middle = 0.5, weights: Weights = "half"):
    """DPM-Solver++(2S): x0 at a level r of the way in λ gives its slope over the step.

    Two network calls a step, order 2; one call where the step is to σ = 0 or from α = 0. It bears strong guidance
    better than methods that hold ε. dpmpp-2m is of the same order for one call.
    """
    if ended(now, to):
        return explicit(now, to)
    weight = 1 / (2 * r) if weights == "half" else lean(now.lam - to.lam) / r
    x, _ = yield from two_stages(now, to, part(now, to, r), weight, of="x0")
    return x


@sampler(
    "dpmpp-3s", order=3, calls=3, cite="arXiv:2211.01095, eq. 8, with arXiv:2206.00927's algorithm 2",
    family="Runge-Kutta", same={"seeds-3:eta=0": ""},
)  # fmt: skip
def dpmpp_3s(now, to):
    """DPM-Solver++(3S): x0 at a third and at two thirds of the way in λ.

    Three network calls a step, order 3; one call where the step is to σ = 0 or from α = 0.
    """
    if ended(now, to):
        return explicit(now, to)
    return (yield from three_stages(now, to, "x0"))


@sampler(
    "dpmpp-2s-ancestral",
    order=2,
    calls=2,
    cite="arXiv:2211.01095, algorithm 1, to the level of arXiv:2011.13456, appendix F",
    family="stochastic",
    same={"dpmpp-2s": "eta=0"},
    breaks=LOUDER,
)
def dpmpp_2s_ancestral(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0):
    """DPM-Solver++(2S) with r = ½ to a level below the next, and fresh noise up to it.

    Two network calls a step, and weak order 2: the ODE is followed to order 2, and the noise added is exactly the
    forward process's. One call where the step is to σ = 0, without noise, or from α = 0.
    """
    noise = ancestral_noise(now, to, eta)
    if ended(now, to):
        return one_step(now, to, s_noise * z, noise)
    low = down(to, noise)
    x, mid = yield from two_stages(now, low, level(now, to, (now.lam + low.lam) / 2), 1.0, of="x0")
    return x + s_noise * noise * mid.z
