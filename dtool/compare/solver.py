"""Solver error: how far a recipe ends from the converged solution of the probability-flow ODE, from the same noise.

The field of that ODE is the network with its guidance, and with its clipping if there is any (which makes it
non-smooth, and every rule on it of lower order: the error of the solution is therefore measured, never inferred). As
a function of x/√(α² + σ²) and of λ it is the same on every schedule and in every spacing, because a network is always
told the time of the noise level (`dtool.plan.prediction.for_network`). What recipes may differ in is where they begin
and end, so a solution belongs to a pair of levels:

- It begins at the recipe's own first level, with the same noise, scaled as the recipe scales it. Recipes with other
  first levels (spacing `leading`, another schedule) have a solution of their own; that a path which begins lower is
  another path is no error of the solver.
- It ends where the recipe ends. To the clean image it goes as all recipes do: down to the network's cleanest level,
  t = 0, and from there in one step to the predicted image. A recipe that jumps to the image from a noisier level pays.

A recipe that adds noise has no one path and no solver error. A deterministic rule that converges to something else
(ddpm:sigma=none) has one: its distance to the ODE, which no number of steps takes away; `other_limit` says why.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.backends.fused import FusedNetwork
from dtool.backends.sampling import sample
from dtool.compare.paired import SolverError, error
from dtool.compare.path import end_of, other_limit, solving_grid
from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.point import CLEAN, Point
from dtool.plan.prediction import ClampWarning

RULES = ("unipc", "dpmpp-2m", "ddim")  # the first that the network can run: a file with a sampler may lack room
LEAST, MOST = 32, 256  # steps of the first solve, and of the last
TOLERANCE = 2.5e-3  # the error at which a solution is converged, as a share of the data's range

__all__ = ["References", "Solution", "other_limit", "reference_solution", "solver_error"]


@dataclass(frozen=True)
class Solution:
    """The converged solution: `images` `(n, *shape)` from `start` to `end`, by `recipe` in `steps` steps.

    `error`: the root mean square difference to the solve with half as many steps, in the data's units: more than its
    own error, for it is the sum of all differences that are still to come if each is half of the one before.
    `history`: (steps, that difference) of each doubling. `ok`: whether it is below the tolerance and has been falling;
    `reason` says why not. `calls`: network calls an image, all solves together.
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


class References:
    """The solutions that a comparison needs, each solved once, and refined when a recipe comes close to it.

    network, n, ids, seed, labels, guidance, clip, threshold, x, batch_size: as for `dtool.sample`, and as for the runs
    that are judged. x: an own start in the dtype to compute in, of standard deviation 1 in every number: it is scaled
    to the level at which it starts. tolerance: share of the data's range at which to stop doubling; most: steps not to
    be exceeded. progress(done, total): after every network call of a solve.
    """

    def __init__(
        self,
        network: Network,
        *,
        tolerance: float = TOLERANCE,
        most: int = MOST,
        x: Any = None,
        **drawn: Any,
    ) -> None:
        if not (tolerance > 0 and most >= 2 * LEAST):
            raise UsageError(f"tolerance={tolerance}, most={most}", f"tolerance above 0, most at least {2 * LEAST}")
        self.network, self.tolerance, self.most = network, tolerance, most
        self._x, self._drawn = x, drawn
        self._found: dict[tuple[float, float, float], _Ladder] = {}

    def why_not(self, plan: Plan) -> str:
        """Why a plan has no solver error; "" if it has one."""
        if plan.stochastic:
            return "it adds noise, so it follows no one path of the ODE"
        if plan.inverse:
            return "it leads from image to noise"
        if isinstance(self.network, FusedNetwork) and self.network.own_plan_alone:
            return "the file runs its own plan alone, so that there is nothing to compare it with"
        if end_of(plan) is None:
            return "it leaves the forward process's marginals, and ends at no level that can be told"
        return ""

    def solution(self, plan: Plan) -> Solution:
        """The solution between the levels at which `plan` begins and ends; raises UsageError if there is none."""
        return self._ladder(plan).solved()

    def judge(self, plan: Plan, images: Any) -> tuple[SolverError | None, str]:
        """(the solver error of the `images` that `plan` drew, "") or (None, why it has none).

        While the images are nearer to the solution than ten times its own error, it is refined, up to `most` steps;
        `SolverError.judged` says whether that was enough. The solution may be of the first few of the images alone.
        """
        if reason := self.why_not(plan):
            return None, reason
        ladder = self._ladder(plan)
        images = images[: len(ladder.images)]
        found = solver_error(images, ladder.solved(), self.network.spec.data_range)
        while not found.judged and 2 * ladder.steps <= self.most:
            ladder.double()
            found = solver_error(images, ladder.solution(), self.network.spec.data_range)
        return found, ""

    def _ladder(self, plan: Plan) -> _Ladder:
        end = end_of(plan)
        if (reason := self.why_not(plan)) or end is None:
            raise UsageError(f"{plan.recipe} has no solver error: {reason}", "use a deterministic sampler")
        start = Point(float(plan.alpha[0]), float(plan.sigma[0]))
        key = (start.lam, end.alpha, end.sigma)
        if key not in self._found:
            self._found[key] = _Ladder(self, start, end)
        return self._found[key]

    def draw(self, plan: Plan) -> Any:
        """What the plan draws from the noise of these images."""
        own = {} if self._x is None else {"x": plan.init * self._x}
        return sample(self.network, plan, **own, **self._drawn).x0


class _Ladder:
    """Solves between two levels with more and more steps."""

    def __init__(self, references: References, start: Point, end: Point) -> None:
        self.references, self.start, self.end = references, start, end
        self.rule = _rule(references.network)
        self.steps, self.calls = LEAST, 0
        self.history: list[tuple[int, float]] = []
        self.images = self._solve()

    def double(self) -> None:
        """One more solve, with twice the steps."""
        self.steps *= 2
        before, self.images = self.images, self._solve()
        self.history.append((self.steps, float(np.sqrt(np.mean(_float64(self.images - before) ** 2)))))

    def solved(self) -> Solution:
        """The solution within the tolerance, or the best that the steps allow."""
        while not self.history or (not self.solution().ok and 2 * self.steps <= self.references.most):
            self.double()
        return self.solution()

    def solution(self) -> Solution:
        """The last solve."""
        own = self.history[-1][1]
        low, high = self.references.network.spec.data_range
        allowed = self.references.tolerance * (high - low)
        falling = len(self.history) < 2 or own <= self.history[-2][1]
        reason = "" if own <= allowed else f"its error is {own:.2g} after {self.steps} steps, above {allowed:.2g}"
        if not reason and not falling:
            reason = f"its error rose to {own:.2g} with {self.steps} steps"
        return Solution(
            self.images, own, not reason, reason, self.rule, self.steps, self.calls, self.start, self.end,
            tuple(self.history),
        )  # fmt: skip

    def _solve(self) -> Any:
        network = self.references.network
        points = solving_grid(network, self.start, self.end, self.steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClampWarning)  # the recipe that is judged has said so
            made = make_plan(self.rule, points=points[:-1], end=points[-1], network=network)
        self.calls += made.rows
        return self.references.draw(made)


def reference_solution(
    network: Network,
    *,
    start: Point | None = None,
    end: Point = CLEAN,
    tolerance: float = TOLERANCE,
    most: int = MOST,
    n: int | None = None,
    ids: Sequence[int] | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    threshold: float | None = None,
    x: Any = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """The converged solution of the network's probability-flow ODE, from the noise that `dtool.sample` starts with.

    start: the level at which it begins, default the noisiest that the network was trained on; end: default the clean
    image. The others as for `References`, which a comparison of several recipes is better served by.
    """
    first = start or Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
    drawn = {
        "n": n, "ids": ids, "seed": seed, "labels": labels, "guidance": guidance, "clip": clip,
        "threshold": threshold, "batch_size": batch_size, "progress": progress,
    }  # fmt: skip
    return _Ladder(References(network, tolerance=tolerance, most=most, x=x, **drawn), first, end).solved()


def solver_error(images: Any, solution: Solution, data_range: tuple[float, float], seed: int = 0) -> SolverError:
    """How far `images` `(n, *shape)` are from the solution from the same noise; see `SolverError`."""
    return error(_float64(images), _float64(solution.images), solution.error, data_range, seed)


def _rule(network: Network) -> str:
    """The first of the rules that the network can run."""
    if not isinstance(network, FusedNetwork):
        return RULES[0]
    room = network.form.history
    fits = [rule for rule in RULES if make_plan(rule, steps=4, network=network).history - 1 <= room]
    return fits[0] if fits else RULES[-1]


def _float64(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of any backend as float64 on the host."""
    host = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(host, dtype=np.float64)
