"""What is known of the samplers, together: families, names from elsewhere, and which of them are one method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dtool.cli.show.listing import describe_each, describe_entry
from dtool.errors import DtoolError
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import get_registry
from dtool.samplers.rule import Rule

FAMILIES = ("one step", "Runge-Kutta", "multistep", "predictor-corrector", "stochastic", "distilled", "flow")
OTHER = "other"


def find_family(rule: Rule) -> str:
    """One of FAMILIES, or OTHER."""
    return rule.family if rule.family in FAMILIES else OTHER


def describe_sampler(entry: Entry) -> dict[str, Any]:
    """One sampler as JSON: what every entry has, and its family, order, calls, noise and other names."""
    rule: Rule = entry.load()
    return describe_entry(entry) | {
        "family": find_family(rule),
        "order": rule.order,
        "startup_order": rule.startup_order,
        "calls": rule.calls,
        "startup_calls": max(rule.calls, rule.startup_calls),
        "noise": describe_noise(rule),
        "same": {claim.recipe: claim.condition for claim in rule.same},
        "breaks": {claim.condition: claim.why for claim in rule.breaks},
        "recipes": find_named_recipes(entry.spelling),
    }


def group_by_family() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(family, samplers) in a fixed order; a sampler that cannot be loaded is among the last, with the reason."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in (*FAMILIES, OTHER)}
    for item in describe_each(get_registry().samplers, describe_sampler):
        groups[item.setdefault("family", OTHER)].append(item)
    yield from ((name, items) for name, items in groups.items() if items)


def describe_noise(rule: Rule) -> str:
    """Whether the rule adds fresh noise: "yes", "no", or "option" if only with options that are not the default."""
    from dtool.plan import Point
    from dtool.plan import compile as compile_plan

    if not rule.stochastic:
        return "no"
    points = [Point(0.1, 0.995), Point(0.6, 0.8), Point(0.8, 0.6), Point(0.995, 0.1)]
    try:
        return "yes" if compile_plan(rule, points, prediction="x0").stochastic else "option"
    except DtoolError:
        return "yes"


def describe_calls(rule: Rule) -> str:
    """Network calls per step, and those of the first, or the first few, if they are more."""
    if rule.startup_calls <= rule.calls:
        return f"{rule.calls}"
    first = f"the first {rule.startup_steps} steps" if rule.startup_steps > 1 else "the first"
    return f"{rule.calls}, {first} {rule.startup_calls}"


def find_named_recipes(name: str) -> dict[str, str]:
    """The recipes of this sampler that have names of their own."""
    return {one.name: one.token for one in get_registry().recipes if _strip_options(one.token) == name}


def filter_aliases(item: dict[str, Any]) -> list[str]:
    """The aliases that are more than another spelling of the name or of one another."""
    seen = {_normalise_name(item["name"])}
    aliases = []
    for alias in item["aliases"]:
        if _normalise_name(alias) not in seen:
            seen.add(_normalise_name(alias))
            aliases.append(alias)
    return aliases


def find_same_methods(items: list[dict[str, Any]]) -> list[list[str]]:
    """(name, the recipe that is the same method, with which options), each pair of names once."""
    seen, pairs = set(), []
    for item in items:
        for recipe, condition in item.get("same", {}).items():
            pair = frozenset((item["name"], _strip_options(recipe)))
            if pair not in seen:
                seen.add(pair)
                pairs.append([item["name"], recipe, condition])
    return pairs


def _strip_options(token: str) -> str:
    return token.partition("@")[0].partition("/")[0].partition(":")[0]


def _normalise_name(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
