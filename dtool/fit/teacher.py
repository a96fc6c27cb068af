"""The teacher: the solution of the probability-flow ODE from the start of the schedule, at every level of its path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.compare.ode_path import make_solving_grid
from dtool.errors import DtoolError
from dtool.fit.noises import Noises
from dtool.fit.plan_runs import PlanRun, Runs, make_runs, split_noises
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import CLEAN, Point
from dtool.plan.prediction import ClampWarning
from dtool.util.arrays import Array

RULE = "unipc:order=3"
STEPS = (32, 48, 64, 96, 128, 192, 256, 384, 512)  # what is tried, until the images hardly change
TRIED_IMAGES = 16  # that the number of steps is chosen on
# The error at which a solution is converged, as a share of the data's range: of a network, and of a function on arrays.
TOLERANCE, FINE = 2e-3, 1e-7
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
    few images; calls: images times calls so far. runs: who does them, see `dtool.fit.plan_runs`.
    """

    def __init__(
        self, network: Network, options: dict[str, Any], tolerance: float | None = None, runs: Runs | None = None
    ) -> None:
        usual = FINE if network.backend == "numpy" else TOLERANCE
        self.network, self.options, self.tolerance = network, options, tolerance or usual
        self.start = Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
        self.steps, self.error, self.calls = 0, float("nan"), 0
        self._runs = runs or make_runs(network)

    def choose_steps(self, noises: Noises) -> None:
        """Find how many steps are enough, on the first few of the noises."""
        few = min(len(noises), TRIED_IMAGES)
        low, high = self.network.spec.data_range
        solves: list[tuple[int, Array]] = []
        for steps in STEPS:
            solves.append((steps, self._solve_few(noises.take(slice(0, few)), steps)))
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
        plan, parts = self.make_plan(self.steps), []
        blocks = split_noises(noises, BLOCK)
        for part in self._runs(self._run(plan, block, traced=True) for block in blocks):
            parts.append(part)
            self.calls += part.evaluations
            if progress is not None:
                progress(part.evaluations)
        images = np.concatenate([part.images for part in parts])
        path, slope = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("path", "slope"))
        assert parts[0].angle is not None, "their paths were asked for"
        return Teacher(images=images, angle=parts[0].angle, path=path, slope=slope, sizes=self._measure_size)

    def _solve_few(self, noises: Noises, steps: int) -> Array:
        [result] = self._runs([self._run(self.make_plan(steps), noises, traced=False)])
        self.calls += result.evaluations
        assert result.images is not None, "only a rival's may be missing"
        return result.images

    def _run(self, plan: Plan, noises: Noises, *, traced: bool) -> PlanRun:
        return PlanRun(plan=plan, noises=noises, options=self.options, batch_size=len(noises), traced=traced)

    def _measure_size(self, lam: float) -> float:
        alpha, sigma = self.network.schedule.level(self.network.schedule.time(lam))
        return float(np.hypot(alpha, sigma))

    def make_plan(self, steps: int) -> Plan:
        """The plan of a solve."""
        points = make_solving_grid(self.network, self.start, CLEAN, steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)
            return make_plan(RULE, points=points[:-1], end=points[-1], network=self.network)
