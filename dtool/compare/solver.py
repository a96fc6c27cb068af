"""Solver error: how far a recipe ends from the converged solution of the probability-flow ODE, from the same noise.

The field of that ODE is the network with its guidance, as strong at each λ as in the recipe that is judged, and with
its clipping if there is any (which makes it non-smooth, and every rule on it of lower order: the error of the solution
is therefore measured, never inferred). As a function of x/√(α² + σ²) and of λ it is the same on every schedule and in
every spacing, because a network always gets the time of the noise level (`dtool.plan.prediction.adapt_to_network`).
Recipes may differ in where they begin and end, so a solution belongs to a pair of levels, and to a guidance:

- It begins at the noisiest level that the network was trained on, with the same noise, scaled as a state of that level
  is. A recipe that begins late (`trailing:start=743`, spacing `leading`, a smaller sigma_max) is judged by the same
  solution: it takes pure noise for a state of its first level, and that is an error like any other. One that begins
  noisier, on another schedule, where the network is told its noisiest level, has a solution from there.
- It ends where the recipe ends. It reaches the clean image as all recipes do: down to the network's cleanest level,
  t = 0, and from there in one step to the predicted image. A recipe that jumps to the image from a noisier level has
  that as an error.

A recipe that adds noise has no single path and no solver error, nor has one whose guidance leads to no limit (CFG++).
A deterministic rule that converges to something else (ddpm:sigma=none) has one: its distance to the ODE, which no
number of steps removes; `find_other_limit` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dtool.compare.guided_path import find_obstacle_of_guidance, guide_alike, identify_guidance
from dtool.compare.ode_path import find_end, find_start
from dtool.compare.paired_errors import SolverErrorEstimate, measure_error
from dtool.compare.step_doubling import LEAST, Solution, StepDoubling, to_float64
from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.point import CLEAN, Point
from dtool.run.clipping import Threshold
from dtool.run.guided_plan import resolve_guidance, uses_comparison
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import sample

MOST = 256  # steps of the last solve, unless more are allowed
TOLERANCE = 2.5e-3  # the error at which a solution is converged, as a share of the data's range

__all__ = ["ReferenceSolutions", "Solution", "reference_solution", "solver_error"]


class ReferenceSolutions:
    """The solutions that a comparison needs, each solved once, and refined when a recipe comes close to it.

    network, n, ids, seed, labels, guidance, clip, threshold, x, batch_size: as for `dtool.sample`, and as for the runs
    that are judged. x: the start, in the dtype to compute in, of standard deviation 1 in every number: it is scaled
    to the level at which it starts. tolerance: the error, as a share of the data's range, at which to stop doubling;
    most: the most steps. progress(done, total): after every network call of a solve.
    """

    def __init__(
        self,
        network: Network,
        *,
        tolerance: float = TOLERANCE,
        most: int = MOST,
        x: Any = None,
        guidance: float | str | Guidance | None = None,
        **options: Any,
    ) -> None:
        if not (tolerance > 0 and most >= 2 * LEAST):
            raise UsageError(f"tolerance={tolerance}, most={most}", f"tolerance above 0, most at least {2 * LEAST}")
        self.network, self.tolerance, self.most = network, tolerance, most
        self._x, self._guidance, self._options = x, guidance, options
        self._doublings: dict[tuple[object, ...], StepDoubling] = {}

    def find_obstacle(self, plan: Plan) -> str:
        """Why a plan has no solver error; "" if it has one."""
        if plan.stochastic:
            return "it adds noise, so it follows no single path of the ODE"
        if plan.inverse:
            return "it goes from image to noise"
        if isinstance(self.network, FusedNetwork) and self.network.has_fixed_plan:
            return "the file runs only its own plan, so that there is nothing to compare it with"
        if find_end(plan) is None:
            return "it leaves the forward process's marginals, so the level at which it ends is unknown"
        return find_obstacle_of_guidance(self._resolve(plan)[0])

    def solution(self, plan: Plan) -> Solution:
        """The solution that `plan` is judged by, down to where it ends; raises UsageError if there is none."""
        return self._find_doubling(plan).converge()

    def follow_one_path(self, one: Plan, other: Plan) -> bool:
        """Whether both plans are judged by one path of one ODE: from one level, with one guidance."""
        return self._identify_path(one) == self._identify_path(other)

    def judge(self, plan: Plan, images: Any) -> tuple[SolverErrorEstimate | None, str]:
        """(the solver error of the `images` that `plan` drew, "") or (None, why it has none).

        While the images are nearer to the solution than ten times its own error, it is refined, up to `most` steps;
        `SolverErrorEstimate.judged` says whether that was enough. The solution may be of the first few of the images
        alone.
        """
        if reason := self.find_obstacle(plan):
            return None, reason
        ladder = self._find_doubling(plan)
        images = images[: len(ladder.images)]
        error = solver_error(images, ladder.converge(), self.network.spec.data_range)
        while not error.judged and self.refine(plan):
            error = solver_error(images, ladder.solution(), self.network.spec.data_range)
        return error, ""

    def refine(self, plan: Plan) -> bool:
        """Solve with twice the steps what `plan` is judged by; False if that would be more than `most`."""
        ladder = self._find_doubling(plan)
        if 2 * ladder.steps > self.most:
            return False
        ladder.double()
        return True

    def solve(self, plan: Plan, steps: int) -> Any:
        """What `plan` is judged by, solved once, with so many steps: no error of its own is measured."""
        return self.make_doubling(find_start(self.network, plan), self._require_end(plan), plan, steps=steps).images

    def identify(self, plan: Plan) -> tuple[object, ...]:
        """What is equal for two plans that are judged by one solution."""
        end = self._require_end(plan)
        return (*self._identify_path(plan), end.alpha, end.sigma)

    def _require_end(self, plan: Plan) -> Point:
        end = find_end(plan)
        if (reason := self.find_obstacle(plan)) or end is None:
            raise UsageError(f"{plan.recipe} has no solver error: {reason}", "use a deterministic sampler")
        return end

    def _find_doubling(self, plan: Plan) -> StepDoubling:
        key = self.identify(plan)
        if key not in self._doublings:
            self._doublings[key] = self.make_doubling(find_start(self.network, plan), self._require_end(plan), plan)
        return self._doublings[key]

    def make_doubling(self, start: Point, end: Point, like: Plan | None = None, *, steps: int = LEAST) -> StepDoubling:
        """The solves between two levels, as yet one with so many steps, guided as the plan `like` is."""

        def draw(plan: Plan) -> Any:
            judged, scale = self._resolve(plan if like is None else like)
            if why := find_obstacle_of_guidance(judged):
                raise UsageError(f"there is no solution: {why}", "use another guidance")
            return self.draw(plan) if like is None else self.draw(guide_alike(plan, judged), scale)

        return StepDoubling(self.network, draw, start, end, tolerance=self.tolerance, most=self.most, steps=steps)

    def draw(self, plan: Plan, scale: float | None = None) -> Any:
        """What the plan draws from the noise of these images, with this guidance scale or that of all plans."""
        table, factor = self._resolve(plan) if scale is None else (plan, scale)
        own = {} if self._x is None else {"x": plan.init * self._x}
        told = dict(self._options)
        if not uses_comparison(self.network, replace(table, scale=factor)):
            told = {name: value for name, value in told.items() if name not in ("without", "negative")}
        return sample(self.network, table, guidance=factor, **own, **told).x0

    def _resolve(self, plan: Plan) -> tuple[Plan, float]:
        """The plan with the guidance that all plans have that name none, and the scale that it runs with."""
        return resolve_guidance(self.network.spec, plan, self._guidance)

    def _identify_path(self, plan: Plan) -> tuple[object, ...]:
        judged, scale = self._resolve(plan)
        start = find_start(self.network, plan)
        return (start.lam, identify_guidance(judged), scale)


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
    guidance: float | str | Guidance | None = None,
    clip: bool | None = None,
    threshold: float | str | Threshold | None = None,
    x: Any = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """The converged solution of the network's probability-flow ODE, from the noise that `dtool.sample` starts with.

    start: the level at which it begins, default the noisiest that the network was trained on; end: default the clean
    image. The others as for `ReferenceSolutions`, which suits a comparison of several recipes better.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> solution = dtool.compare.reference_solution(network, n=2, seed=0)
    >>> solution.ok, solution.error < 0.0025
    (True, True)
    """
    first = start or Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
    options: dict[str, Any] = {
        "n": n, "ids": ids, "seed": seed, "labels": labels, "guidance": guidance, "clip": clip,
        "threshold": threshold, "batch_size": batch_size, "progress": progress,
    }  # fmt: skip
    references = ReferenceSolutions(network, tolerance=tolerance, most=most, x=x, **options)
    return references.make_doubling(first, end).converge()


def solver_error(
    images: Any, solution: Solution, data_range: tuple[float, float], seed: int = 0
) -> SolverErrorEstimate:
    """How far `images` `(n, *shape)` are from the solution from the same noise; see `SolverErrorEstimate`.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> solution = dtool.compare.reference_solution(network, n=4)
    >>> x0 = dtool.sample(network, "unipc", steps=40, n=4).x0
    >>> dtool.compare.solver_error(x0, solution, network.spec.data_range).rmse < 0.05
    True
    """
    return measure_error(to_float64(images), to_float64(solution.images), solution.error, data_range, seed)
