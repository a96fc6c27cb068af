"""Image and noise on a circle: TrigFlow."""

import numpy as np

from dtool.schedulers.schedule import Schedule, TrainingSteps
from dtool.schedulers.scheduler import scheduler


@scheduler("trigflow", cite="arXiv:2410.11081, section 3")
def trigflow(*, T: TrainingSteps = 1000) -> Schedule:  # noqa: N803
    """x = cos(θ) x0 + sin(θ) ε with θ = π/2·(t+1)/T, the coordinates of continuous-time consistency models.

    The last level is noise alone. What such a network predicts is "v", when images and noise are scaled alike.
    """
    # cos θ as the sine of the rest: exactly 0 at the end.
    rest = np.pi / 2 * (np.arange(T)[::-1] / T)
    return Schedule(np.sin(rest), np.cos(rest))
