"""β rises as 1/k: ᾱ falls linearly."""

import numpy as np

from dtool.schedulers.schedule import Schedule, TrainingSteps, from_betas
from dtool.schedulers.scheduler import scheduler


@scheduler("jsd", cite="arXiv:1503.03585, section 2.4.1")
def jsd(*, T: TrainingSteps = 1000) -> Schedule:  # noqa: N803
    """β = 1/T, 1/(T-1), … 1: each step erases the same share of the image, ᾱ = 1 - (t+1)/T.

    The last level has no signal at all, so that a network which predicts ε cannot start there.
    """
    return from_betas(1 / np.linspace(T, 1, T))
