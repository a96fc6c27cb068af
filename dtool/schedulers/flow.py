"""A straight line from image to noise: rectified flow."""

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Schedule, TrainingSteps
from dtool.schedulers.scheduler import scheduler

# Flux's line: the log of the shift at 256 and at 4096 tokens.
_TOKENS, _SHIFTS = (256.0, 4096.0), (0.5, 1.15)


@scheduler("flow", cite="arXiv:2209.03003, eq. 1; shift: arXiv:2403.03206, eq. 23")
def flow(
    *,
    T: TrainingSteps = 1000,  # noqa: N803
    shift: Annotated[float, Field(gt=0, description="σ becomes kσ/(1+(k-1)σ): more steps where it is noisy")] = 1.0,
    mu: Annotated[float | None, Field(description="the shift's logarithm, in place of shift")] = None,
    tokens: Annotated[
        int | None, Field(ge=1, description="image tokens, in place of shift: mu from 0.5 at 256 to 1.15 at 4096")
    ] = None,
    terminal: Annotated[
        float, Field(ge=0, lt=1, description="after the shift, stretch so that the cleanest σ is this; 0 leaves it")
    ] = 0.0,
) -> Schedule:
    """x = (1-σ) x0 + σ ε with σ = (t+1)/T; networks of this kind predict ε - x0 ("flow").

    The last level is noise alone. `tokens` is the resolution-dependent shift of Flux, `terminal` the stretch of
    LTX-Video. The shift is the one that every schedule has: σ/α times k.
    """
    if (shift != 1) + (mu is not None) + (tokens is not None) > 1:
        raise UsageError("shift, mu and tokens all say how far to shift", "give one of them")
    if tokens is not None:
        slope = (_SHIFTS[1] - _SHIFTS[0]) / (_TOKENS[1] - _TOKENS[0])
        mu = _SHIFTS[0] + slope * (tokens - _TOKENS[0])
    k = shift if mu is None else float(np.exp(mu))
    u = np.arange(1, T + 1) / T
    alpha, sigma = (1 - u) / (1 + (k - 1) * u), k * u / (1 + (k - 1) * u)
    if terminal and T > 1:
        alpha = alpha * ((1 - terminal) / alpha[0])
        sigma = 1 - alpha
    return Schedule(alpha, sigma, coordinates="flow")
