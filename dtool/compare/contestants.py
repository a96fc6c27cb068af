"""Who takes part: recipes at numbers of steps, as plans for the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dtool.backends.fused import FusedNetwork
from dtool.errors import UsageError, shown
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.recipe import Recipe


def contestants(
    network: Network, recipes: Sequence[str | Recipe], steps: Sequence[int]
) -> tuple[list[str], list[Plan]]:
    """Names and plans, one a recipe and step count; the same one twice counts once. Raises UsageError."""
    several = isinstance(recipes, Iterable) and not isinstance(recipes, str)
    if not several or not all(isinstance(recipe, (str, Recipe)) for recipe in recipes):
        raise UsageError(f"recipes={shown(recipes)} is not a list of recipes", "give a list: ['ddim', 'heun']")
    if not recipes:
        raise UsageError("there is no recipe to compare", "name one or more, e.g. ddpm ddim dpmpp-2m/karras")
    if not steps:
        raise UsageError("there is no number of steps", "give one or more, e.g. steps=[10, 20]")
    parsed = [(str(recipe), recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)) for recipe in recipes]
    found: dict[tuple[str, str], tuple[str, Plan]] = {}
    for name, recipe in parsed:
        for count in sorted(set(steps)):
            plan = make_plan(recipe, steps=count, network=network)
            found.setdefault((plan.recipe, plan.hash), (name, plan))
    return [name for name, _ in found.values()], [plan for _, plan in found.values()]


def with_room(network: Network, recipes: Sequence[str], steps: int) -> list[str]:
    """Those of the recipes that the network can draw by: all, unless it is a file that holds a whole sampler."""
    if not isinstance(network, FusedNetwork):
        return list(recipes)
    form = network.form
    plans = {recipe: make_plan(recipe, steps=steps, network=network) for recipe in recipes}
    return [r for r, p in plans.items() if p.history - 1 <= form.history and (form.saved or not p.save.any())]
