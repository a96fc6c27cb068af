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
        raise UsageError(
            f"{name!r} is no sampler alone but a whole recipe, {recipe.token}",
            f"write {recipe.token}, or use dtool.plan",
        )
    bound = registry().samplers.get(name).bind(**{**written, **options})
    assert isinstance(bound, Rule), f"sampler {name} is not a Rule"
    return bound
