"""Analytic-DPM: the noise of each step has the variance that is optimal for the network and its data."""

from collections.abc import Callable
from math import hypot, pi, sqrt
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Breaks
from dtool.samplers.engines.one_step import posterior_noise
from dtool.samplers.engines.variance_statistics import posterior_variance
from dtool.samplers.rule import sampler
from dtool.util.file_references import FileNameMarker

Statistics = Annotated[
    str,
    FileNameMarker(words=("unit",)),
    Field(description="a file of dtool.measure_variance, or unit: the closed form for data N(0, I)"),
]
NoiseLimit = Annotated[
    float, Field(ge=0, description="largest noise of a step to the first level, in pixel values of 0-255")
]

_CAVEAT = Breaks("the noise stands for what the network does not know of x0, and of an x0 held constant it knows all")


def _make_step(eta: float) -> Callable[..., Any]:
    """The step whose mean is DDIM's with a part `eta` of DDPM's noise."""

    def step(now: Any, to: Any, z: Any, stats: str, clip: float) -> Any:
        own = eta * posterior_noise(now, to)
        kept = sqrt(max(to.sigma**2 - own**2, 0.0))
        mean = to.alpha * now.x0 + kept * now.eps
        if to.sigma == 0:
            return mean
        gain = to.alpha - kept * now.alpha / now.sigma  # of x0 in the mean of q(x' | x, x0)
        noise = hypot(own, gain * sqrt(posterior_variance(stats, now.lam)))
        if to.t == 0:
            noise = min(noise, to.alpha * clip * 2 / 255 * sqrt(pi / 2))
        return mean + noise * z

    return step


_DDPM, _DDIM = _make_step(1.0), _make_step(0.0)


@sampler("analytic-ddpm", order=1, cite="arXiv:2201.06503, theorem 1", family="stochastic", breaks=_CAVEAT)
def analytic_ddpm(now, to, z, *, stats: Statistics = "unit", clip: NoiseLimit = 2.0):
    """DDPM's mean, with the variance that is optimal: β̃ and the part of x0 that the network cannot know.

    One network call per step, order 1; for 10 to 100 steps, where β̃ is too narrow and β too wide. That part,
    Var[x0 | x] = (σ/α)²·(1 - E‖ε‖²/d), is measured once from the network and data (`dtool.measure_variance`) and read
    from a file; on Gaussian data every step is then exact, however long. A step to the schedule's first level adds no
    more noise than the eye bears; the last step, to the image, none.
    """
    return _DDPM(now, to, z, stats, clip)


@sampler("analytic-ddim", order=1, cite="arXiv:2201.06503, theorem 1 with λ = 0", family="stochastic", breaks=_CAVEAT)
def analytic_ddim(now, to, z, *, stats: Statistics = "unit", clip: NoiseLimit = 1.0):
    """DDIM's mean (η = 0), with the variance that is optimal: the part of x0 that the network cannot know.

    One network call per step, order 1; the noise vanishes faster than the steps, so many of them are ddim. See
    analytic-ddpm for what is measured, and for the ends.
    """
    return _DDIM(now, to, z, stats, clip)
