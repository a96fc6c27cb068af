"""The converged solution of the probability-flow ODE: solves with twice the steps, until the images hardly change."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.compare.ode_path import make_solving_grid
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import Point
from dtool.plan.prediction import ClampWarning
from dtool.run.sampler_file import FusedNetwork

# The first that the network can run is used: a file with a sampler may have too little history.
RULES = ("unipc", "dpmpp-2m", "ddim")
LEAST = 32  # steps of the first solve


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The converged solution: `images` `(n, *shape)` from `start` to `end`, by `recipe` in `steps` steps.

    `error`: the root mean square difference to the solve with half as many steps, in the data's units: more than its
    own error, for it is the sum of all differences that are still to come if each is half of the one before.
    `history`: (steps, that difference) of each doubling. `ok`: whether it is below the tolerance and has been falling;
    `reason` says why not. `calls`: network calls per image, all solves together.
    """

    images: Any = field(repr=False)
    error: float
    ok: bool
    reason: str
    recipe: str
    steps: int
    calls: int
    start: Point
    end: Point
    history: tuple[tuple[int, float], ...]


class StepDoubling:
    """Solves between two levels with more and more steps.

    draw: what a plan gives from the noise that all solves start with. tolerance: the error, as a share of the data's
    range, at which to stop; most: the most steps; steps: those of the first solve.
    """

    def __init__(
        self, network: Network, draw: Callable[[Plan], Any], start: Point, end: Point, *, tolerance: float, most: int,
        steps: int = LEAST,
    ) -> None:  # fmt: skip
        self.network, self.draw, self.start, self.end = network, draw, start, end
        self.tolerance, self.most = tolerance, most
        self.rule = _choose_rule(network)
        self.steps, self.calls = steps, 0
        self.history: list[tuple[int, float]] = []
        self.images = self._solve()

    def double(self) -> None:
        """One more solve, with twice the steps."""
        self.steps *= 2
        before, self.images = self.images, self._solve()
        self.history.append((self.steps, float(np.sqrt(np.mean(to_float64(self.images - before) ** 2)))))

    def converge(self) -> Solution:
        """The solution within the tolerance, or the best that the steps allow."""
        while not self.history or (not self.solution().ok and 2 * self.steps <= self.most):
            self.double()
        return self.solution()

    def solution(self) -> Solution:
        """The last solve."""
        own = self.history[-1][1]
        low, high = self.network.spec.data_range
        allowed = self.tolerance * (high - low)
        falling = len(self.history) < 2 or own <= self.history[-2][1]
        reason = "" if own <= allowed else f"its error is {own:.2g} after {self.steps} steps, above {allowed:.2g}"
        if not reason and not falling:
            reason = f"its error rose to {own:.2g} with {self.steps} steps"
        return Solution(
            images=self.images, error=own, ok=not reason, reason=reason, recipe=self.rule, steps=self.steps,
            calls=self.calls, start=self.start, end=self.end, history=tuple(self.history),
        )  # fmt: skip

    def _solve(self) -> Any:
        points = make_solving_grid(self.network, self.start, self.end, self.steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)  # the judged recipe has already warned
            plan = make_plan(self.rule, points=points[:-1], end=points[-1], network=self.network)
        self.calls += plan.rows
        return self.draw(plan)


def _choose_rule(network: Network) -> str:
    """The first of the rules that the network can run."""
    if not isinstance(network, FusedNetwork):
        return RULES[0]
    room = network.form.history
    fits = [rule for rule in RULES if make_plan(rule, steps=4, network=network).history - 1 <= room]
    return fits[0] if fits else RULES[-1]


def to_float64(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of any backend as float64 on the host."""
    host = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(host, dtype=np.float64)
