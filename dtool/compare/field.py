"""The field of a recommendation: every recipe within a budget of network calls."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil

import numpy as np

from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.prediction import ClampWarning
from dtool.plan.unrolled import fingerprint
from dtool.plugins.registry import registry

SPACINGS = ("", "/karras", "/logsnr", "/quadratic")


def within(network: Network, calls: int, recipes: Sequence[str] | None) -> list[Plan]:
    """The plans of at most `calls` rows, as near to it as each gets; the first of those that draw the same images.

    Raises UsageError if there is none, or, of recipes that were named, for one that cannot be had or is stochastic.
    """
    if recipes is not None and not recipes:
        raise UsageError("there is no recipe to choose from", "name some, or leave them out for all")
    tokens = list(recipes) if recipes is not None else [name + place for name in _samplers() for place in SPACINGS]
    found: dict[str, Plan] = {}
    for token in tokens:
        plan = _solver(network, token, calls, named=recipes is not None)
        if plan is not None:
            found.setdefault(fingerprint(plan), plan)
    if not found:
        raise UsageError(f"no recipe fits into {calls} calls", "allow more, or name others")
    return list(found.values())


def _samplers() -> list[str]:
    """Samplers of the registry that are deterministic and need no file."""
    names = []
    for entry, rule in registry().samplers.loaded():
        if not rule.inverse and set(rule.model.model_fields) <= set(dict(rule.options)):
            names.append(entry.spelling)
    return names


def _solver(network: Network, token: str, calls: int, *, named: bool) -> Plan | None:
    """The `largest` plan of a recipe that solves the ODE; None for another, an error if it was named."""
    plan = largest(network, token, calls, strict=named)
    if plan is not None and plan.stochastic and named:
        raise UsageError(f"{token} is stochastic: it solves no ODE", "compare it with dtool compare")
    return None if plan is None or plan.stochastic or plan.learned else plan


def largest(network: Network, token: str, calls: int, *, strict: bool = False) -> Plan | None:
    """The plan of most steps that has at most `calls` rows, if any.

    Raises UsageError, if `strict`, for a number of steps that the recipe refuses.
    """
    steps = min(calls, network.schedule.T)
    while steps > 0:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ClampWarning)
                plan = make_plan(token, steps=steps, network=network)
        except UsageError:
            if strict:
                raise
            steps -= 1
            continue
        if plan.rows <= calls:
            return plan
        # a step fewer takes away at most the rows of the longest
        longest = int(np.diff(np.flatnonzero(plan.step_end), prepend=-1).max())
        steps -= ceil((plan.rows - calls) / longest)
    return None
