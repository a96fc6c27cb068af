"""The plan of a run: what the caller names, or what the network brings along."""

from __future__ import annotations

from typing import Any

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.prediction import adapt_to_network
from dtool.plan.recipe import Recipe, parse_recipe_of_file
from dtool.run.sampler_file import FusedNetwork


def resolve_plan(network: Network, plan: Plan | Recipe | str | None, steps: int | None) -> Plan:
    """The plan that is named, for this network, or its own; raises UsageError if there is none."""
    if plan is None and network.origin is not None and network.origin.recipe is not None:
        plan, steps = network.origin.recipe, steps or network.origin.steps
    if plan is None:
        if not isinstance(network, FusedNetwork):
            raise UsageError("no sampler is named", "give a plan or a recipe, e.g. 'ddim'")
        own = network.plan
        plan = own if steps in (None, own.steps) else parse_recipe_of_file(own.recipe, "the sampler's file")
    if isinstance(plan, Plan):
        if steps is not None and steps != plan.steps:
            raise UsageError(f"the plan has {plan.steps} steps", "leave out steps, or give a recipe")
        return adapt_to_network(plan, network.schedule, network.prediction)
    return make_plan(plan, steps=steps, network=network)


def require_fitting(network: Network, plan: Plan, x: Any) -> None:
    """Refuse a plan that asks of the network, or of the caller, what was not given."""
    if plan.learned and not network.spec.learned_variance:
        raise UsageError(
            f"{plan.recipe} takes the variance of its noise from the network, and this network predicts none",
            "use ddpm with sigma=tilde or sigma=beta",
        )
    if plan.inverse and x is None:
        raise UsageError(f"{plan.recipe} leads from an image to its noise", "give the image: x=, of shape (B, *shape)")
