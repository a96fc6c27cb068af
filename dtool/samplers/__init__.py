"""Reverse-step rules: one paper, one file, one screen. numpy is not even needed here: a rule is arithmetic."""

from __future__ import annotations

from dtool.errors import UsageError
from dtool.options import parsed
from dtool.plugins.registry import registry
from dtool.samplers.rule import Rule


def sampler(token: str, **options: object) -> Rule:
    """The reverse-step rule that `token` names, e.g. "ddpm:sigma=beta"; options may also be given by keyword."""
    name, written = parsed(token)
    known = registry()
    recipe = None if known.samplers.knows(name) else known.recipes.get(name)
    if recipe is not None and recipe.token != name:
        alone = recipe.token.partition("@")[0].partition("/")[0]
        hint = f"its sampler is {alone}; dtool.plan takes the whole"
        raise UsageError(f"{name!r} is the name of a whole recipe, {recipe.token}", hint)
    bound: Rule = known.samplers.get(name).bind(**{**written, **options})
    return bound
