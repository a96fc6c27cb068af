"""DPM-Solver++(SDE), the two-stage stochastic sampler of k-diffusion."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import ancestral_noise, one_step
from dtool.samplers.engines.options import SCALED_NOISE, Ancestral, NoiseScale
from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_below, point_between
from dtool.samplers.rule import sampler


@sampler(
    "dpmpp-sde",
    order=1,
    calls=2,
    cite="arXiv:2211.01095, algorithm 1, with the noise of arXiv:2011.13456, appendix F, in both stages",
    family="stochastic",
    same=Same("dpmpp-2s", when={"eta": 0, "r": 0.5}),
    orders=lambda eta, **_: (2, 2) if eta == 0 else (1, 1),
    breaks=SCALED_NOISE,
)
def dpmpp_sde(
    now,
    to,
    z,
    *,
    eta: Ancestral = 1.0,
    r: Annotated[float, Field(gt=0, lt=1, description="where the second call is, as a part of the step in λ")] = 0.5,
    s_noise: NoiseScale = 1.0,
):
    """DPM-Solver++(SDE): an ancestral step to the middle, and from the start again to the end with the x0 found there.

    Two network calls per step, each with noise of its own, and the x at the start of the step is kept. Weak order 1,
    or 2 with η = 0: the second noise knows nothing of the first. One call where the step is to σ = 0 or from α = 0.
    """
    noise = ancestral_noise(now, to, eta)
    if is_end_step(now, to):
        return one_step(now, to, s_noise * z, noise)
    at = point_between(now, to, r)
    mid = yield one_step(now, at, s_noise * z, ancestral_noise(now, at, eta)), at
    return explicit_step(now, point_below(to, noise), (1 / (2 * r), mid), of="x0") + s_noise * noise * mid.z
