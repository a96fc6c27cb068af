"""Reverse-step rules: one paper, one file, one screen. numpy is not even needed here: a rule is arithmetic."""

from __future__ import annotations

from dtool.options import parsed
from dtool.plugins.registry import registry
from dtool.samplers.rule import Rule


def sampler(token: str, **options: object) -> Rule:
    """The reverse-step rule that `token` names, e.g. "ddpm:sigma=beta"; options may also be given by keyword."""
    name, written = parsed(token)
    bound: Rule = registry().samplers.get(name).bind(**{**written, **options})
    return bound
