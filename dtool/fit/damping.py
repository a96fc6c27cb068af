"""How far a Gauss-Newton step is trusted: Levenberg's damping, carried from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dtool.util.arrays import Array

FIRST, LEAST, MOST = 1e-2, 1e-8, 1e2


@dataclass
class Damping:
    """The share of each parameter's own curvature that is added to it: less after a good step, more after a bad one."""

    level: float = FIRST

    def levels(self) -> Iterator[float]:
        """What to try one after another for a step, until one is good."""
        level = self.level
        for _ in range(4):
            yield level
            level = min(10 * level, MOST)

    def judge(self, level: float, good: bool) -> bool:
        """Take note of a trial; returns whether it was good."""
        self.level = max(level / 10, LEAST) if good else min(10 * level, MOST)
        return good


def solve_damped(jacobian: Array, residual: Array, level: float) -> Array:
    """The step δ that lowers |residual + δ·jacobian|² + level·Σ δ_i²·|jacobian_i|², for a jacobian `(p, m)`."""
    size = np.sqrt((jacobian**2).sum(axis=1))
    size = np.where(size > 0, size, 1.0)
    scaled = jacobian / size[:, None]
    normal = scaled @ scaled.T
    normal[np.diag_indices_from(normal)] += level
    step: Array = -np.linalg.lstsq(normal, scaled @ residual, rcond=1e-13)[0] / size
    return step
