"""Reverse-step rules: one paper, one file, one screen. numpy is not even needed here: a rule is arithmetic."""

from __future__ import annotations

from dtool.errors import UsageError
from dtool.plugins.registry import get_registry
from dtool.samplers.rule import Rule
from dtool.util.options import parse_token


def get_sampler(token: str, **options: object) -> Rule:
    """The reverse-step rule that `token` names, e.g. "ddpm:sigma=beta"; options may also be given by keyword.

    >>> rule = dtool.get_sampler("ddim", eta=0.5)
    >>> rule.token, rule.order, rule.cite
    ('ddim:eta=0.5', 1, 'arXiv:2010.02502, eq. 12 and 16')
    """
    name, token_options = parse_token(token)
    registry = get_registry()
    recipe = None if registry.samplers.knows(name) else registry.recipes.get(name)
    if recipe is not None and recipe.token != name:
        alone = recipe.token.partition("@")[0].partition("/")[0]
        hint = f"its sampler is {alone}; dtool.plan takes the whole"
        raise UsageError(f"{name!r} is the name of a whole recipe, {recipe.token}", hint)
    bound: Rule = registry.samplers.get(name).bind(**{**token_options, **options})
    return bound
