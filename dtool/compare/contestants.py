"""Who takes part: recipes at numbers of steps, as plans for the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dtool.errors import UsageError, format_value
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.recipe import Recipe
from dtool.run.guided_plan import add_guidance, parse_scale
from dtool.run.sampler_file import FusedNetwork

GuidanceWord = float | str | Guidance


def list_contestants(
    network: Network,
    recipes: Sequence[str | Recipe],
    steps: Sequence[int],
    guidance: GuidanceWord | Sequence[GuidanceWord] | None = None,
) -> tuple[list[str], list[Plan]]:
    """Names and plans, one per recipe, guidance and step count, without duplicates; the plans hold their guidance.

    guidance: one or several, for the recipes that name none; those that name one without a scale take the numbers among
    them as that. Raises UsageError for what is no recipe or no guidance.
    """
    several = isinstance(recipes, Iterable) and not isinstance(recipes, str)
    if not several or not all(isinstance(recipe, (str, Recipe)) for recipe in recipes):
        raise UsageError(f"recipes={format_value(recipes)} is not a list of recipes", "give a list: ['ddim', 'heun']")
    if not recipes:
        raise UsageError("there is no recipe to compare", "name one or more, e.g. ddpm ddim dpmpp-2m/karras")
    if not steps:
        raise UsageError("there is no number of steps", "give one or more, e.g. steps=[10, 20]")
    parsed = [(str(recipe), recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)) for recipe in recipes]
    several_guidances = list_guidances(guidance)
    contestants: dict[tuple[str, str], tuple[str, Plan]] = {}
    for name, recipe in parsed:
        words = choose_guidances(recipe, several_guidances)
        for word in words:
            label = _name_guided(name, recipe, word) if word is not None and len(words) > 1 else name
            for count in [recipe.own_steps] if recipe.own_steps else sorted(set(steps)):
                plan = add_guidance(network.spec, make_plan(recipe, steps=count, network=network), word)
                contestants.setdefault((plan.recipe, plan.hash), (label, plan))
    return [name for name, _ in contestants.values()], [plan for _, plan in contestants.values()]


def choose_guidances(recipe: Recipe, words: Sequence[GuidanceWord | None]) -> Sequence[GuidanceWord | None]:
    """Those of several guidances that are for a recipe: all, or where it names one without a scale the scales."""
    if recipe.guidance is None:
        return words
    scales = [word for word in words if parse_scale(word) is not None]
    return scales if scales and recipe.guidance.scale is None else [None]


def _name_guided(name: str, recipe: Recipe, word: GuidanceWord) -> str:
    """The name of a recipe with one of several guidances."""
    if recipe.guidance is None:
        return f"{name}~{format_guidance(word)}"
    joint = "," if ":" in name.rpartition("~")[2] else ":"
    return f"{name}{joint}scale={format_guidance(word)}"


def list_guidances(guidance: GuidanceWord | Sequence[GuidanceWord] | None) -> Sequence[GuidanceWord | None]:
    """One or several guidances as a list, `[None]` for none said; raises UsageError for an empty one."""
    if guidance is None or isinstance(guidance, (str, Guidance)) or not isinstance(guidance, Iterable):
        return [guidance]
    words = list(guidance)
    if not words:
        raise UsageError("there is no guidance in the list", "give one or more, e.g. [1, 3], or leave it out")
    return words


def format_guidance(word: GuidanceWord) -> str:
    """A guidance as it is typed after a recipe's ~."""
    return word.token if isinstance(word, Guidance) else word if isinstance(word, str) else f"{word:g}"


def select_runnable(network: Network, recipes: Sequence[str], steps: int) -> list[str]:
    """Those of the recipes that the network can draw by: all, unless it is a file that holds a whole sampler."""
    if not isinstance(network, FusedNetwork):
        return list(recipes)
    form = network.form
    plans = {recipe: make_plan(recipe, steps=steps, network=network) for recipe in recipes}
    return [r for r, p in plans.items() if p.history - 1 <= form.history and (form.saved or not p.save.any())]
