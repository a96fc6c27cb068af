"""The examination: every certificate that a sampler can have, for built-ins and strangers alike."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError
from dtool.options import parsed
from dtool.plain import reason
from dtool.plan import Recipe
from dtool.plugins.guard import guarded as guarded_code
from dtool.plugins.registry import registry
from dtool.samplers.rule import Rule
from dtool.schedulers import schedule, spacing
from dtool.testing import inversion, levels
from dtool.testing.certificates import CERTIFICATES
from dtool.testing.result import CheckResult

Check = Callable[[], CheckResult]


def check(target: str | Recipe | Rule) -> list[CheckResult]:
    """Examine a sampler: "ddim:eta=0.5", a recipe ("dpmpp-2m@cosine/karras"), or a rule of your own.

    A rule that no installed package registers may be given itself, or as "package.module:name".

    A name that is no sampler may be that of a schedule or a spacing, "cosine:T=100" or "karras:rho=5".
    What a recipe leaves open (schedule, spacing) is varied. Nothing is downloaded, no network is trained, and no
    result depends on chance. Raises UsageError for a name that is not known; all that a certificate finds, errors of
    the rule included, is in the results.
    """
    return [guarded(one) for one in checks(target)]


def checks(target: str | Recipe | Rule) -> Iterator[Check]:
    """The same examination as separate callables with a `__name__`. In a plugin's own tests:

    @pytest.mark.parametrize("examine", dtool.testing.checks("my-sampler"), ids=lambda c: c.__name__)
    def test_certificates(examine):
        assert examine().status != "fail"
    """
    if isinstance(target, str) and re.fullmatch(r"[\w.]+:\w+", target):
        target = _from_module(target)
    try:
        recipe = _recipe(target)
    except UsageError:
        others = _no_sampler(target) if isinstance(target, str) else []
        if not others:
            raise
        yield from others
        return
    for name, function in (inversion.CERTIFICATES if recipe.rule.inverse else CERTIFICATES).items():
        yield _named(name, function, recipe)


def _recipe(target: str | Recipe | Rule) -> Recipe:
    if isinstance(target, Recipe):
        return target
    return Recipe(target) if isinstance(target, Rule) else Recipe.parse(target)


def _from_module(name: str) -> Rule:
    """The rule that `package.module:name` is; modules in the working directory are found too."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise UsageError(f"{name} cannot be imported ({type(error).__name__}: {error})", "check the name") from error
    if not isinstance(found, Rule):
        raise UsageError(f"{name} is a {type(found).__name__}, not a sampler", "decorate its function with @sampler")
    return found


def _no_sampler(token: str) -> list[Check]:
    """The certificates of the schedule or the spacing that `token` names; none if there is neither."""
    name, found = parsed(token)[0], []
    if registry().schedulers.knows(name):
        table = schedule(token)
        found += [_named("levels", levels.examine_levels, table), _named("inverse", levels.examine_inverse, table)]
        found.append(_named("samples", levels.examine_samples, table))
    if registry().spacings.knows(name):
        found.append(_named("steps", levels.examine_steps, spacing(token)))
    return found


def _named(name: str, function: Callable[[str, Any], CheckResult], subject: object) -> Check:
    def examine() -> CheckResult:
        rule = getattr(subject, "rule", subject)
        with guarded_code(getattr(rule, "origin", None), f"fails in {name}"):
            return function(name, subject)

    examine.__name__ = name
    examine.__doc__ = function.__doc__
    return examine


def guarded(one: Check) -> CheckResult:
    """The result; an error that the rule raises is a failure of this certificate, not the end of the examination."""
    try:
        return one()
    except DtoolError as error:
        return CheckResult(one.__name__, "fail", "error", f"{error}; {error.hint}" if error.hint else str(error))
    except Exception as error:  # of a rule that runs with symbols and fails with arrays
        return CheckResult(one.__name__, "fail", "error", f"{reason(error)}, raised while it was examined")
