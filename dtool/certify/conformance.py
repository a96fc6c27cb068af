"""The examination: every certificate that a sampler can have, for built-ins and plugins alike."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dtool.certify import adopted, fitted, guided, inversion, levels
from dtool.certify.certificates import CERTIFICATES
from dtool.certify.guided_certificates import GUIDED_CERTIFICATES
from dtool.certify.result import CheckResult
from dtool.errors import DtoolError, UsageError
from dtool.plan import Recipe
from dtool.plan.foreign import ForeignRule, find_library
from dtool.plan.plan_file import SavedPlan
from dtool.plugins.isolation import guard_code
from dtool.plugins.registry import get_registry
from dtool.samplers.rule import Rule
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from dtool.util.options import parse_token
from dtool.util.text import format_exception

Check = Callable[[], CheckResult]


def check(target: str | Recipe | Rule) -> list[CheckResult]:
    """Examine a sampler: "ddim:eta=0.5", a recipe ("dpmpp-2m@cosine/karras"), or a rule of your own.

    A rule that no installed package registers may be passed itself, or as "package.module:name".

    Of a saved plan ("five.json") the table itself is examined, and of a fitted one what its fit found out:
    `dtool.certify.fitted`.
    Of a sampler of another library ("diffusers:DDIMScheduler") the plans that it becomes are examined, with its
    constants in float64: `dtool.certify.adopted`.
    A name that is no sampler may be that of a schedule or a spacing, "cosine:T=100" or "karras:rho=5".
    What a recipe leaves open (schedule, spacing) is varied. With guidance, "ddim~3@-1.3:0.3", the rule is examined
    without it, and then the guided rows. Nothing is downloaded, no network is trained, and no
    result depends on chance. Raises UsageError for a name that is not known; all that a certificate finds, errors of
    the rule included, is in the results.

    >>> [(result.name, result.status) for result in dtool.check("karras:rho=5")]
    [('steps', 'pass')]
    """
    return [run_check(one) for one in checks(target)]


def checks(target: str | Recipe | Rule) -> Iterator[Check]:
    """The same examination as separate callables with a `__name__`. In a plugin's own tests:

    @pytest.mark.parametrize("examine", dtool.certify.checks("my-sampler"), ids=lambda c: c.__name__)
    def test_certificates(examine):
        assert examine().status != "fail"
    """
    if isinstance(target, str) and find_library(target) is None and re.fullmatch(r"[\w.]+:\w+", target):
        target = _import_rule(target)
    try:
        recipe = _to_recipe(target)
    except UsageError:
        others = _make_level_checks(target) if isinstance(target, str) and find_library(target) is None else []
        if not others:
            raise
        yield from others
        return
    if recipe.rule.inverse and recipe.guidance is not None:
        raise UsageError(f"{recipe} leads from an image to its noise, without guidance", "leave out ~…")
    if isinstance(recipe.rule, SavedPlan):
        names_of = fitted.OF_PLANS if recipe.rule.plan.fit is None else tuple(fitted.CERTIFICATES)
        yield from (_make_check(name, fitted.CERTIFICATES[name], recipe) for name in names_of)
        return
    if isinstance(recipe.rule, ForeignRule):
        names = adopted.OF_INVERSIONS if recipe.rule.inverse else adopted.CERTIFICATES
        yield from (_make_check(name, adopted.CERTIFICATES[name], recipe) for name in names)
        return
    for name, function in (inversion.CERTIFICATES if recipe.rule.inverse else CERTIFICATES).items():
        yield _make_check(name, function, recipe)
    for name, function in (GUIDED_CERTIFICATES if guided.is_guided(recipe) else {}).items():
        yield _make_check(name, function, recipe)


def _to_recipe(target: str | Recipe | Rule) -> Recipe:
    if isinstance(target, Recipe):
        return target
    return Recipe(target) if isinstance(target, Rule) else Recipe.parse(target)


def _import_rule(name: str) -> Rule:
    """The rule that `package.module:name` is; modules in the working directory are found too."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        rule = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise UsageError(f"{name} cannot be imported ({type(error).__name__}: {error})", "check the name") from error
    if not isinstance(rule, Rule):
        other = {"ScheduleMaker": "schedule", "SpacingMaker": "spacing"}.get(type(rule).__name__)
        hint = f"a {other} is examined when it is used" if other else "decorate its function with @sampler"
        raise UsageError(f"{name} is a {other or type(rule).__name__}, not a sampler", hint)
    return rule


def _make_level_checks(token: str) -> list[Check]:
    """The certificates of the schedule or the spacing that `token` names; none if there is neither."""
    name, level_checks = parse_token(token)[0], []
    if get_registry().schedulers.knows(name):
        table = get_scheduler(token)
        level_checks += [
            _make_check("levels", levels.examine_levels, table),
            _make_check("inverse", levels.examine_inverse, table),
        ]
        level_checks.append(_make_check("samples", levels.examine_samples, table))
    if get_registry().spacings.knows(name):
        level_checks.append(_make_check("steps", levels.examine_steps, get_spacing(token)))
    return level_checks


def _make_check(name: str, function: Callable[[str, Any], CheckResult], subject: object) -> Check:
    def examine() -> CheckResult:
        rule = getattr(subject, "rule", subject)
        with guard_code(getattr(rule, "origin", None), f"fails in {name}"):
            return function(name, subject)

    examine.__name__ = name
    examine.__doc__ = function.__doc__
    return examine


def run_check(one: Check) -> CheckResult:
    """The result; an error that the rule raises is a failure of this certificate, not the end of the examination."""
    try:
        return one()
    except DtoolError as error:
        return CheckResult(one.__name__, "fail", "error", f"{error}; {error.hint}" if error.hint else str(error))
    except Exception as error:  # of a rule that runs with symbols and fails with arrays
        return CheckResult(one.__name__, "fail", "error", f"{format_exception(error)}, raised while it was examined")
