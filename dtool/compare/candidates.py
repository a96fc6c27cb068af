"""The field of a recommendation: every recipe within a budget of network calls."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.foreign import ForeignRule
from dtool.plan.linear_map import fingerprint
from dtool.plan.prediction import ClampWarning, adapt_to_network
from dtool.plan.recipe import DEFAULT_SPACING, Recipe, split_guidance
from dtool.plugins.registry import get_registry
from dtool.run.guided_plan import add_guidance, find_compared_rows
from dtool.spacings import get_spacing

SPACINGS = ("", "/karras", "/logsnr", "/quadratic")
LATE_STARTS = (0.88, 0.83, 0.74, 0.69)  # of the last training time: the best of 8, 6, 5 and 4 calls on `linear`


@dataclass(frozen=True, kw_only=True)
class CallBudget:
    """What an image may cost: at most `most`, of `each` for a network call and `doubled` for one that guidance doubles.

    By default in network calls, whatever guidance makes of them. guidance: of the recipes that name none.
    """

    most: float
    each: float = 1.0
    doubled: float = 1.0
    guidance: float | str | Guidance | None = None

    def cost(self, network: Network, plan: Plan) -> float:
        """What an image of this plan costs."""
        twice = int(find_compared_rows(network, plan).sum())
        return (plan.rows - twice) * self.each + twice * self.doubled


def plan_within_budget(network: Network, budget: CallBudget, recipes: Sequence[str] | None) -> list[Plan]:
    """The plans with the most steps within the budget; of those that draw the same images, the first.

    Raises UsageError if there is none, and for a named recipe that is not possible or is stochastic.
    """
    if recipes is not None and not recipes:
        raise UsageError("there is no recipe to choose from", "name some, or leave the names out to try them all")
    tokens = list(recipes) if recipes is not None else [name + place for name in list_samplers() for place in SPACINGS]
    plans: dict[str, Plan] = {}
    for token in tokens:
        plan = _plan_solver(network, token, budget, named=recipes is not None)
        if plan is not None:
            plans.setdefault(fingerprint(plan), plan)
    if not plans:
        calls = int(budget.most / budget.each)
        raise UsageError(f"no recipe fits into {calls} calls", "allow more, or name others")
    return list(plans.values())


def list_samplers() -> list[str]:
    """Samplers of the registry that lead from noise to images and need no file."""
    names = []
    for entry, rule in get_registry().samplers.iterate_loaded():
        if not rule.inverse and set(rule.model.model_fields) <= set(dict(rule.options)):
            names.append(entry.spelling)
    return names


def _plan_solver(network: Network, token: str, budget: CallBudget, *, named: bool) -> Plan | None:
    """A recipe's `find_largest_plan` if it solves the ODE; None for another, UsageError if it was named."""
    plan = find_largest_plan(network, token, budget, strict=named)
    if plan is not None and plan.stochastic and named:
        raise UsageError(f"{token} is stochastic: it solves no ODE", "compare it with dtool compare")
    return None if plan is None or plan.stochastic or plan.learned else plan


def admit_plans(network: Network, budget: CallBudget, plans: Sequence[Plan]) -> list[Plan]:
    """Plans that take part as they are, for this network; raises UsageError for one that cannot."""
    admitted = []
    for plan in plans:
        own = add_guidance(network.spec, adapt_to_network(plan, network.schedule, network.prediction), budget.guidance)
        if own.stochastic:
            raise UsageError(f"{plan.recipe} is stochastic: it solves no ODE", "compare it with dtool compare")
        if budget.cost(network, own) > budget.most:
            raise UsageError(f"{plan.recipe} makes {plan.rows} calls, more than the budget", "allow more")
        admitted.append(own)
    return admitted


def plan_late_starts(network: Network, budget: CallBudget, plan: Plan) -> list[Plan]:
    """The recipe of a plan with late starts, with as many steps as are within the budget.

    None of one that names a start, or whose levels are its own: a fitted plan's.
    """
    if plan.fit is not None:
        return []
    recipe = Recipe.parse(split_guidance(plan.recipe)[0])
    spacing = recipe.spacing or get_spacing(DEFAULT_SPACING)
    has_own_grid = isinstance(recipe.rule, ForeignRule) and recipe.rule.own_grid
    if has_own_grid or dict(spacing.options).get("start") is not None:
        return []
    schedule = recipe.scheduler or network.schedule
    late = []
    for share in LATE_STARTS:
        place = spacing.bind(**{**dict(spacing.options), "start": round(share * (schedule.T - 1))})
        late.append(find_largest_plan(network, str(replace(recipe, spacing=place)), budget))
    return [one for one in late if one is not None]


def find_largest_plan(network: Network, token: str, budget: CallBudget, *, strict: bool = False) -> Plan | None:
    """The plan of most steps that is within the budget, if any, with its guidance.

    Raises UsageError, if `strict`, for a number of steps that the recipe refuses.
    """
    steps = min(int(budget.most / budget.each), network.schedule.T)
    if (own := Recipe.parse(token).own_steps) is not None:  # a saved plan
        made = add_guidance(network.spec, make_plan(token, steps=own, network=network), budget.guidance)
        return made if budget.cost(network, made) <= budget.most else None
    while steps > 0:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ClampWarning)
                plan = add_guidance(network.spec, make_plan(token, steps=steps, network=network), budget.guidance)
        except UsageError:
            if strict:
                raise
            steps -= 1
            continue
        over = budget.cost(network, plan) - budget.most
        if over <= 0:
            return plan
        if budget.each == budget.doubled:
            # One step fewer removes at most the rows of the longest step.
            steps -= ceil(over / budget.each / int(plan.calls_per_step.max()))
        else:  # other rows may be guided then
            steps -= 1
    return None
