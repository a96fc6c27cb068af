"""The targets that tests run over, and exact draws of them with noise."""

from __future__ import annotations

import numpy as np

SMALL_TARGETS = (
    "gaussian", "gaussian:d=3,mean=0.2,condition=20", "gmm:d=1,k=3", "gmm", "gmm:d=5,k=4", "two-diracs",
    "two-diracs:d=3,share=0.3", "sphere:d=2", "sphere:d=3,radius=0.7", "sphere:d=8", "digits-gmm",
    "digits-gmm:conditional=false",
)  # fmt: skip


def draw_noisy(law, at, n, seed):
    """`n` exact draws of x at a level."""
    random = np.random.default_rng(seed)
    return at.alpha * law.sample(n, seed) + at.sigma * random.standard_normal((n, *law.shape))
