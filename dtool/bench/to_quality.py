"""Time to quality: how long each way takes to images that are as near to the solution as a named recipe's are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.bench.diffusers_loop import DiffusersLoop, NoEquivalentError, is_installed, translate_recipe
from dtool.bench.quality_result import Arrival, TimeToQuality
from dtool.compare.candidates import CallBudget, find_largest_plan, plan_within_budget
from dtool.compare.paired_errors import squared_errors
from dtool.compare.successive_halving import LAST, Halving
from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.measure.machine import detect_machine
from dtool.measure.timing import ratios, time_in_turns
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.recipe import Recipe
from dtool.run.guided_plan import find_compared_rows, get_scale
from dtool.run.noise import normals
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import sample
from dtool.util.arguments import check_arguments

NAMED = ("ddim", "dpmpp-2m", "unipc")  # take part where nobody is named
MOST = 64  # calls that a way may need
DIFFUSERS = "dpmpp-2m"  # DPM-Solver++(2M), in dtool's words
SETTLE = 0.2  # seconds: threads that wait for more work spin, on the cores of whoever is next
Prepare = Callable[[int], "_Way | None"]


@check_arguments
def time_to_quality(
    network: Network,
    *,
    calls: int = 10,
    recipes: Sequence[str] | None = None,
    entrants: Sequence[str] = NAMED,
    images: int = 16,
    rounds: int = 7,
    seed: int = 0,
    guidance: float | str | Guidance | None = None,
    clip: bool | None = None,
    eager: Network | None = None,
    model: str = "the network",
    progress: Callable[[int, int, str], None] | None = None,
) -> TimeToQuality:
    """How long each way takes to the RMSE that the best named recipe has at `calls` calls, all in one run.

    recipes: among which the best is found, by default every sampler of the registry on four spacings, none with a late
    start. entrants: recipes, or files of plans (`five.json`), that take part with the fewest calls that reach it.
    diffusers' DPM-Solver++ takes part where it is installed, on `eager`, the same network on PyTorch, or else on this
    one. Each draws `images` images in each of the `rounds`, in turns, after one run to warm up. guidance, clip: as for
    `dtool.sample`. Raises UsageError for what cannot be had.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> found = dtool.bench.time_to_quality(network, calls=4, recipes=["ddim", "dpmpp-2m"], entrants=["ddim"], rounds=1)
    >>> [(one.name, one.calls) for one in found.arrivals][:2]
    [('dpmpp-2m', 4), ('ddim', 5)]
    """
    if isinstance(network, FusedNetwork):
        raise UsageError(f"{model} holds a whole sampler, not a network alone", "give the network itself")
    if min(calls, images, rounds) < 1:
        raise UsageError(f"{calls} calls, {images} images, {rounds} rounds: nothing is timed", "use 1 or more of each")
    field_of_plans = plan_within_budget(network, CallBudget(most=calls, guidance=guidance), recipes)
    halving = Halving(network, field_of_plans, {"seed": seed, "clip": clip}, None, progress)
    winner = halving.run()
    contest = _Contest(network=network, halving=halving, best=halving.plans[winner], images=images, guidance=guidance)
    bar = halving.error(winner)
    arrived = [(contest.best.recipe, contest.prepare_plan(contest.best), bar.rmse)]
    for name, prepare in {**contest.list_recipes(entrants), **contest.list_diffusers(eager or network)}.items():
        reached = contest.find_fewest(name, prepare, bar.rmse)
        arrived += [] if reached is None else [(name, *reached)]
    times = _time([way for _, way, _ in arrived], rounds)
    return TimeToQuality(
        machine=detect_machine(gpu=network.device != "cpu"), model=model, recipe=contest.best.recipe,
        calls=contest.best.rows, rmse=bar.rmse, own=bar.own, judged=LAST, images=images, rounds=rounds,
        missing=contest.missing,
        arrivals=tuple(
            Arrival(
                name=name, steps=way.steps, calls=way.calls, evaluations=way.evaluations, rmse=rmse,
                seconds=tuple(seconds), ratios=tuple(ratios(seconds, times[0])),
            )
            for (name, way, rmse), seconds in zip(arrived, times, strict=True)
        ),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Way:
    """A way with its number of steps: `draw()` gives the judged images, `run()` is timed, after `before()`."""

    steps: int
    calls: int
    evaluations: int
    draw: Callable[[], Any]
    run: Callable[[], object]
    before: Callable[[], object] = lambda: None


def _time(ways: Sequence[_Way], rounds: int) -> list[list[float]]:
    """The seconds of each way in each round, after one run of each to warm up."""
    for way in ways:
        way.before()
        way.run()
    runs = [way.run for way in ways]
    return time_in_turns(runs, rounds, before=lambda k: ways[k].before(), settle=SETTLE, warm=False)


@dataclass(kw_only=True)
class _Contest:
    """What all ways have in common: the noise, its solution, and the named recipe that they are held against."""

    network: Network
    halving: Halving
    best: Plan
    images: int
    guidance: float | str | Guidance | None
    missing: dict[str, str] = field(default_factory=dict)

    def prepare_plan(self, plan: Plan) -> _Way:
        """A plan as it is."""
        twice = int(find_compared_rows(self.network, plan).sum())
        run = partial(sample, self.network, plan, n=self.images, **self.halving.options)
        draw = partial(self.halving.draw, plan, range(LAST))
        return _Way(steps=plan.steps, calls=plan.rows, evaluations=plan.rows + twice, draw=draw, run=run)

    def list_recipes(self, tokens: Sequence[str]) -> dict[str, Prepare]:
        """Recipes, each with as many steps as come to so many calls at most."""

        def prepare(token: str, most: int) -> _Way | None:
            plan = find_largest_plan(self.network, token, CallBudget(most=most, guidance=self.guidance))
            return None if plan is None else self.prepare_plan(plan)

        for token in tokens:
            Recipe.parse(token)  # what is no recipe is refused before anything is drawn
        return {token: partial(prepare, token) for token in tokens}

    def list_diffusers(self, network: Network) -> dict[str, Prepare]:
        """diffusers' DPM-Solver++ around the network, or nobody, and why."""
        best, where = self.best, "PyTorch eager" if network.backend == "torch" else network.backend
        name = f"diffusers DPM-Solver++, {where}"
        if not is_installed():
            self.missing[name] = "not installed: pip install diffusers torch"
            return {}
        if not ((best.guided == 1).all() and best.rescale == 0 and not best.compares.any()):
            self.missing[name] = "its pipelines guide every step alike"
            return {}
        try:
            translate_recipe(Recipe.parse(DIFFUSERS), network, 2, clip=False)
        except NoEquivalentError as error:
            self.missing[name] = str(error)
            return {}
        return {name: partial(self._prepare_diffusers, network)}

    def _prepare_diffusers(self, network: Network, steps: int) -> _Way:
        equal = translate_recipe(Recipe.parse(DIFFUSERS), network, steps, clip=False)
        scale = get_scale(network.spec, self.best) if network.classes else 1.0

        def make_loop(count: int) -> DiffusersLoop:
            labels = self.halving.assign_classes(range(count))
            return DiffusersLoop(network, equal, steps, labels, scale, count)

        def draw() -> NDArray[Any]:
            loop = make_loop(LAST)
            loop.prepare()
            return loop(normals(self.halving.options["seed"], np.arange(LAST, dtype=np.uint64), 0, network.shape)[0])

        timed = make_loop(self.images)
        evaluations = steps if scale in (0, 1) else 2 * steps
        return _Way(steps=steps, calls=steps, evaluations=evaluations, draw=draw, run=timed, before=timed.prepare)

    def find_fewest(self, name: str, prepare: Prepare, bar: float) -> tuple[_Way, float] | None:
        """A way with the fewest calls whose RMSE is at most the bar, and its RMSE; None, and why, if none is.

        More calls are taken to be nearer: they are doubled until they reach it, and then halved.
        """
        solution = self.halving.solutions.take(self.best, LAST)
        nearest, known = inf, dict[int, tuple[_Way, float]]()

        def judge(most: int) -> tuple[_Way, float] | None:
            nonlocal nearest
            way = prepare(most)
            if way is None:
                return None
            if way.calls not in known:
                known[way.calls] = way, sqrt(squared_errors(way.draw(), solution).mean())
            nearest = min(nearest, known[way.calls][1])
            return known[way.calls] if known[way.calls][1] <= bar else None

        low, high, reached = 0, 2, judge(2)
        while reached is None and high < MOST:
            low, high = high, 2 * high
            reached = judge(high)
        if reached is None:
            self.missing[name] = f"with {MOST} calls or fewer its RMSE is {nearest:.4g} at best"
            return None
        while high - low > 1:
            middle = (low + high) // 2
            better = judge(middle)
            low, high, reached = (low, middle, better) if better is not None else (middle, high, reached)
        return reached
