"""What is known of the samplers, together: families, names from elsewhere, and which of them are one method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dtool.cli.listing import described, each
from dtool.errors import DtoolError
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import registry
from dtool.samplers.rule import Rule

FAMILIES = ("one step", "Runge-Kutta", "multistep", "predictor-corrector", "stochastic", "distilled", "flow")
OTHER = "other"


def family(rule: Rule) -> str:
    """One of FAMILIES, or OTHER."""
    return rule.family if rule.family in FAMILIES else OTHER


def sampler_entry(entry: Entry) -> dict[str, Any]:
    """One sampler as JSON: what every entry has, and its family, order, calls, noise and other names."""
    rule: Rule = entry.load()
    return described(entry) | {
        "family": family(rule),
        "order": rule.order,
        "startup_order": rule.startup_order,
        "calls": rule.calls,
        "startup_calls": max(rule.calls, rule.startup_calls),
        "noise": noise(rule),
        "same": dict(rule.same),
        "breaks": dict(rule.breaks),
        "recipes": known_as(entry.spelling),
    }


def by_family() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(family, samplers) in a fixed order; a sampler that cannot be loaded is among the last, with the reason."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*FAMILIES, OTHER)}
    for item in each(registry().samplers, sampler_entry):
        found[item.setdefault("family", OTHER)].append(item)
    yield from ((name, items) for name, items in found.items() if items)


def noise(rule: Rule) -> str:
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


def calls(rule: Rule) -> str:
    """Network calls a step, and those of the first if they are more."""
    return f"{rule.calls}" + (f", the first {rule.startup_calls}" if rule.startup_calls > rule.calls else "")


def known_as(name: str) -> dict[str, str]:
    """The recipes of this sampler that have names of their own."""
    return {one.name: one.token for one in registry().recipes if _head(one.token) == name}


def other_names(item: dict[str, Any]) -> list[str]:
    """The aliases that are more than another spelling of the name or of one another."""
    seen = {_letters(item["name"])}
    found = []
    for alias in item["aliases"]:
        if _letters(alias) not in seen:
            seen.add(_letters(alias))
            found.append(alias)
    return found


def same_methods(items: list[dict[str, Any]]) -> list[list[str]]:
    """(name, the recipe that is the same method, with which options), each pair of names once."""
    seen, found = set(), []
    for item in items:
        for recipe, condition in item.get("same", {}).items():
            pair = frozenset((item["name"], _head(recipe)))
            if pair not in seen:
                seen.add(pair)
                found.append([item["name"], recipe, condition])
    return found


def _head(token: str) -> str:
    return token.partition("@")[0].partition("/")[0].partition(":")[0]


def _letters(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
