"""Named recipes on the noises of a fit: who is the best at so many calls, from the start of the schedule and late."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtool.compare.candidates import SPACINGS, CallBudget, find_largest_plan, list_samplers, plan_within_budget
from dtool.errors import DtoolError, UsageError
from dtool.fit.noises import Noises
from dtool.fit.plan_runs import PlanRun, Runs, make_runs, split_noises
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.linear_map import fingerprint
from dtool.run.guided_plan import add_guidance
from dtool.util.arrays import Array

MORE_SPACINGS = ("sgm-uniform", "beta")  # beside those that `dtool recommend` tries
ROUNDS = ((8, 1.0), (32, 0.25), (0, 0.06))  # images (0: all), and the share of the candidates that draw them
LATE_SHARES = (0.6, 0.69, 0.74, 0.79, 0.84, 0.88)  # of the training time, where a late start begins
LATE_SAMPLERS = 5  # that are tried with a late start: those of the best recipes from the schedule's start
BATCH = 32


@dataclass(frozen=True)
class Entrant:
    """A named recipe: its plan, and for a late one its first time."""

    recipe: str
    plan: Plan = field(repr=False)
    late: float | None = None


@dataclass(kw_only=True)
class Contest:
    """Recipes side by side on some noises.

    measure(images): by what images from the first of the noises are ranked, the least first. options: guidance, clip
    and the like of `dtool.sample`. on_call(n): after every n evaluations. runs: who does them, see
    `dtool.fit.plan_runs`. rounds: how many images each round draws, 0 for all, and the share of the recipes that it
    begins with.
    """

    network: Network
    noises: Noises
    measure: Callable[[Array], float]
    options: dict[str, Any]
    on_call: Callable[[int], None] | None = None
    runs: Runs | None = None
    rounds: Sequence[tuple[int, float]] = ROUNDS

    def draw(self, plans: Sequence[Plan], count: int) -> list[Array | None]:
        """What each plan draws from the first `count` of the noises; None if its numbers are not finite."""
        blocks = split_noises(self.noises.take(slice(0, count)), BATCH)
        size = min(count, BATCH)
        runs = self.runs or make_runs(self.network)
        results = runs(
            PlanRun(plan=plan, noises=block, options=self.options, batch_size=size, rival=True)
            for plan in plans
            for block in blocks
        )
        drawn: list[Array | None] = []
        for _ in plans:
            parts = [next(results) for _ in blocks]
            images = [part.images for part in parts if part.images is not None]
            drawn.append(np.concatenate(images) if len(images) == len(blocks) else None)
            if self.on_call is not None:
                self.on_call(sum(part.evaluations for part in parts))
        next(results, None)  # tells workers that all is done
        return drawn

    def rank(self, entrants: Sequence[Entrant]) -> list[tuple[Entrant, Array]]:
        """The best of them on all noises, the best first, each with its images; the others leave round by round."""
        left, drawn = list(entrants), dict[str, Array]()
        for images, share in self.rounds:
            count = min(images or len(self.noises), len(self.noises))
            left = left[: max(2, int(np.ceil(share * len(entrants))))]
            errors = {}
            for one, its in zip(left, self.draw([each.plan for each in left], count), strict=True):
                errors[one.recipe] = np.inf
                if its is not None:
                    drawn[one.recipe] = its
                    errors[one.recipe] = self.measure(its)
            left = [one for one in sorted(left, key=lambda each: errors[each.recipe]) if errors[one.recipe] < np.inf]
        return [(one, drawn[one.recipe]) for one in left]


def list_named(network: Network, calls: int, guidance: Any, samplers: Sequence[str] | None = None) -> list[Entrant]:
    """Every deterministic recipe with at most so many calls, from the schedule's start; samplers: those alone."""
    budget = CallBudget(most=calls, guidance=guidance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plans = plan_within_budget(network, budget, samplers)
        found = {plan.recipe: Entrant(plan.recipe, plan) for plan in plans}
        if samplers is None:
            for name in dict.fromkeys(_strip(plan.recipe) for plan in plans):
                for spacing in MORE_SPACINGS:
                    for plan in _try_plans(network, budget, f"{name}/{spacing}"):
                        found.setdefault(plan.recipe, Entrant(plan.recipe, plan))
    return list(found.values())


def _try_plans(network: Network, budget: CallBudget, token: str) -> Iterator[Plan]:
    try:
        yield from plan_within_budget(network, budget, [token])
    except UsageError:
        return


def list_late(network: Network, best: Sequence[str], calls: int, guidance: Any) -> list[Entrant]:
    """The samplers of these recipes on `trailing` times that begin late."""
    last, found = network.schedule.T - 1, []
    for name in list(dict.fromkeys(_strip(recipe) for recipe in best))[:LATE_SAMPLERS]:
        for share in LATE_SHARES:
            first = round(share * last)
            recipe = f"{name}/trailing:start={first}"
            try:
                plan = add_guidance(network.spec, make_plan(recipe, steps=calls, network=network), guidance)
            except DtoolError:
                continue
            if plan.rows <= calls:
                found.append(Entrant(recipe, plan, float(first)))
    return found


def list_stochastic(network: Network, calls: int, guidance: Any) -> list[Entrant]:
    """Every stochastic recipe with at most so many calls, on the spacings that `dtool recommend` tries.

    Of those that draw the same images, the first.
    """
    budget, found = CallBudget(most=calls, guidance=guidance), dict[str, Entrant]()
    for name in list_samplers():
        for place in SPACINGS:
            plan = find_largest_plan(network, name + place, budget)
            if plan is not None and plan.stochastic and not plan.learned:
                found.setdefault(fingerprint(plan), Entrant(plan.recipe, plan))
    return list(found.values())


def _strip(recipe: str) -> str:
    """A recipe's sampler, without spacing and guidance."""
    return recipe.partition("~")[0].partition("/")[0]
