"""The teacher: the solution of the probability-flow ODE from the start of the schedule, at every level of its path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.compare.ode_path import make_solving_grid
from dtool.errors import DtoolError
from dtool.fit.field import choose_dtype
from dtool.fit.noises import Noises
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import CLEAN, Point
from dtool.plan.prediction import ClampWarning
from dtool.run.sampling import sample
from dtool.util.arrays import Array

RULE = "unipc:order=3"
STEPS = (32, 48, 64, 96, 128, 192, 256, 384, 512)  # what is tried, until the images hardly change
MAX_LEVELS = 160  # of a path that are kept
TRIED_IMAGES = 16  # that the number of steps is chosen on
# The error at which a solution is converged, as a share of the data's range: of a network, and of a function on arrays.
TOLERANCE, FINE = 1.5e-3, 1e-7
BLOCK = 32  # images at a time


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """The solution from the noises of one set: `images` `(n, *shape)`, and its path as states of standard size.

    angle: arctan(σ/α) of the levels on the path, rising `(m,)`; path: x/√(α² + σ²) there; slope: its derivative
    cos·ε - sin·x0, both `(m, n, *shape)` float32.
    """

    images: Array = field(repr=False)
    angle: Array = field(repr=False)
    path: Any = field(repr=False)
    slope: Any = field(repr=False)
    sizes: Callable[[float], float] = field(repr=False)

    def locate(self, lam: float) -> Array:
        """The solution's states `(n, *shape)` at λ, in the network's own coordinates: cubic between two levels."""
        angle = float(np.arctan(np.exp(-lam)))
        k = int(np.clip(np.searchsorted(self.angle, angle) - 1, 0, len(self.angle) - 2))
        width = self.angle[k + 1] - self.angle[k]
        u = (angle - self.angle[k]) / width
        near, far = (1 + 2 * u) * (1 - u) ** 2, u * u * (3 - 2 * u)
        rise, fall = u * (1 - u) ** 2 * width, u * u * (u - 1) * width
        state = near * self.path[k] + far * self.path[k + 1] + rise * self.slope[k] + fall * self.slope[k + 1]
        return np.asarray(self.sizes(lam) * state, dtype=np.float64)


class Solver:
    """Solves from the start of the network's schedule, in as many steps as its tolerance asks for.

    options: guidance, clip and the like of `dtool.sample`. tolerance: of the images' root mean square error, as a share
    of the data's range. error: that of the solve in `steps` steps, measured against the finest one that was tried, on a
    few images; calls: images times calls so far.
    """

    def __init__(self, network: Network, options: dict[str, Any], tolerance: float | None = None) -> None:
        usual = FINE if network.backend == "numpy" else TOLERANCE
        self.network, self.options, self.tolerance = network, options, tolerance or usual
        self.start = Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
        self.steps, self.error, self.calls = 0, float("nan"), 0

    def choose_steps(self, noises: Noises) -> None:
        """Find how many steps are enough, on the first few of the noises."""
        few = min(len(noises), TRIED_IMAGES)
        low, high = self.network.spec.data_range
        solves: list[tuple[int, Array]] = []
        for steps in STEPS:
            solves.append((steps, self._draw(noises.take(slice(0, few)), steps, trace=False)[0]))
            if len(solves) < 3:
                continue
            # Each solve's error is at most what it changes by until the last one, and that one's own.
            last = float(np.sqrt(np.mean((solves[-1][1] - solves[-2][1]) ** 2)))
            for count, images in solves[:-1]:
                error = float(np.sqrt(np.mean((images - solves[-1][1]) ** 2))) + last / 2
                if error <= self.tolerance * (high - low):
                    self.steps, self.error = count, error
                    return
        self.steps = STEPS[-1]
        self.error = last
        if self.error > 10 * TOLERANCE * (high - low):
            raise DtoolError(
                f"the solution that the table is to be fitted to does not converge: off by {self.error:.2g} after "
                f"{self.steps} steps",
                "fit with clipping (--clip), with less guidance, or another network",
            )

    def solve(self, noises: Noises, progress: Callable[[int], None] | None = None) -> Teacher:
        """The solution from these noises, path included."""
        parts = []
        for first in range(0, len(noises), BLOCK):
            parts.append(self._draw(noises.take(slice(first, first + BLOCK)), self.steps, trace=True))
            if progress is not None:
                progress(self.steps * len(parts[-1][0]))
        images = np.concatenate([part[0] for part in parts])
        path, slope = (np.concatenate([part[k] for part in parts], axis=1) for k in (2, 3))
        return Teacher(images=images, angle=parts[0][1], path=path, slope=slope, sizes=self._measure_size)

    def _measure_size(self, lam: float) -> float:
        alpha, sigma = self.network.schedule.level(self.network.schedule.time(lam))
        return float(np.hypot(alpha, sigma))

    def make_plan(self, steps: int) -> Plan:
        """The plan of a solve."""
        points = make_solving_grid(self.network, self.start, CLEAN, steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)
            return make_plan(RULE, points=points[:-1], end=points[-1], network=self.network)

    def _draw(self, noises: Noises, steps: int, *, trace: bool) -> tuple[Array, Array, Any, Any]:
        """(images, angles, path, slope) of some noises; nothing but the images without a trace."""
        plan = self.make_plan(steps)
        x = (plan.init * noises.z).astype(choose_dtype(self.network))
        out = sample(self.network, plan, x=x, trace=trace, batch_size=len(noises), **noises.options, **self.options)
        self.calls += len(noises) * out.evaluations
        images = np.asarray(out.x0, np.float64)
        if out.trace is None:
            return images, images, None, None
        kept = np.unique(np.linspace(0, plan.rows - 1, min(plan.rows, MAX_LEVELS)).round().astype(int))[::-1]
        width = [-1] + [1] * (out.trace.x0.ndim - 1)
        scale = np.hypot(plan.alpha, plan.sigma)[kept].reshape(width)
        cos, sin = (level[kept].reshape(width) / scale for level in (plan.alpha, plan.sigma))
        state, image = np.asarray(out.trace.x)[kept] / scale, np.asarray(out.trace.x0)[kept]
        slope = cos * (state - cos * image) / sin - sin * image
        return images, np.arctan2(plan.sigma, plan.alpha)[kept], *(v.astype(x.dtype) for v in (state, slope))
