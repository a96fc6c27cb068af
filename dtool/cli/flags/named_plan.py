"""The plan that a command's words mean, for the network that it opens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dtool.cli.flags.recipe_words import RecipeWords
from dtool.cli.flags.sampler_options import DEFAULT_SAMPLER, Options
from dtool.cli.show.output import remark
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.models.network import Network
    from dtool.plan import Plan, Recipe


def resolve_named_plan(net: Network, words: RecipeWords, options: Options, quiet: bool) -> Plan:
    """The plan that was asked for; of a file that holds a sampler its own, or as much of it as was not asked for.

    Of another library's network, where no sampler is named, it is what its makers sample it with.
    """
    from dtool.cli.flags.values import parse_times
    from dtool.plan.api import plan as make_plan

    steps, times = words.steps, parse_times(words.points)
    if net.plan is not None and not words.names_a_sampler:
        unknown, own = _parse_recipe(net.plan.recipe)
        defaults = {name: value for name, value in own.rule.options if value is not None}
        if options == defaults and not words.has_grid:
            return net.plan
        if unknown is not None:
            hint = "install the package that has it, or name another with --sampler; its own plan runs as it is"
            raise UsageError(f"{net.plan.recipe} must be compiled again for that, and {unknown}", hint) from unknown
        steps = net.plan.steps if steps is None and times is None else steps
        recipe = own.complete(None, None, **options)
    elif (theirs := _choose_makers_recipe(net, words, options)) is not None:
        assert net.origin is not None, "what has their recipe"
        recipe, steps = theirs, net.origin.steps if steps is None and times is None else steps
        remark(" ".join([f"{recipe}, as its makers sample it.", *net.origin.differences]), quiet)
    else:
        recipe = _build_recipe(words, options)
    return make_plan(recipe, scheduler=words.scheduler, spacing=words.spacing, steps=steps, points=times, network=net)


def _choose_makers_recipe(net: Network, words: RecipeWords, options: Options) -> Recipe | None:
    """What a network's makers sample it with, where neither a sampler is named nor an option of the usual one.

    A schedule or a spacing that is named takes the place of theirs.
    """
    from dtool.plan import Recipe
    from dtool.samplers import get_sampler

    if net.origin is None or net.origin.recipe is None or words.names_a_sampler:
        return None
    usual = dict(get_sampler(DEFAULT_SAMPLER).options)
    if any(usual.get(name) != value for name, value in options.items()):
        return None
    recipe = Recipe.parse(net.origin.recipe)
    if words.scheduler is not None:
        recipe = replace(recipe, scheduler=None)
    return replace(recipe, spacing=None) if words.spacing is not None or words.points is not None else recipe


def _parse_recipe(recipe: str) -> tuple[UsageError | None, Recipe]:
    """A file's recipe, and what is unknown in it, if anything is.

    A sampler that is not installed, or is another library's, has no flags: they are those of the usual one, which then
    stands in its place.
    """
    from dtool.plan.foreign import find_library
    from dtool.plan.recipe import Recipe, parse_recipe_of_file

    if find_library(recipe) is not None:
        error = UsageError("it was adopted from another library", f"name it again: --recipe {recipe}")
        return error, Recipe.parse(DEFAULT_SAMPLER)
    try:
        return None, parse_recipe_of_file(recipe, "the sampler's file")
    except UsageError as error:
        return error, Recipe.parse(DEFAULT_SAMPLER)


def _build_recipe(words: RecipeWords, options: Options) -> Any:
    """The recipe that was asked for, with the sampler's options as the flags have them."""
    from dtool.plan import Recipe

    if words.recipe is not None and words.sampler is not None:
        raise UsageError("--recipe names the sampler already", "leave --sampler out")
    token = next((name for name in (words.recipe, words.sampler) if name is not None), DEFAULT_SAMPLER)
    return Recipe.parse(token).complete(None, None, **options)
