"""The examination: every certificate that a sampler can have, for built-ins and strangers alike."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError
from dtool.options import parsed
from dtool.plan import Recipe
from dtool.plan import compile as compile_plan
from dtool.plugins.registry import registry
from dtool.samplers.rule import Rule
from dtool.schedulers import schedule, spacing
from dtool.testing import compiled, ends, grids, levels, marginals, moments, order
from dtool.testing.result import CheckResult, Status
from dtool.testing.slopes import Slope

Check = Callable[[], CheckResult]


def check(target: str | Recipe | Rule) -> list[CheckResult]:
    """Examine a sampler: "ddim:eta=0.5", a recipe ("dpmpp-2m@cosine/karras"), or a rule of your own.

    A rule that no installed package registers may be given itself, or as "package.module:name".

    A name that is no sampler may be that of a schedule or a spacing, "cosine:T=100" or "karras:rho=5".
    What a recipe leaves open (schedule, spacing) is varied. Nothing is downloaded, no network is trained, and no
    result depends on chance. Raises UsageError for a name that is not known; all that a certificate finds, errors of
    the rule included, is in the results.
    """
    return [_guarded(one) for one in checks(target)]


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
    for name, function in _LIST.items():
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
    if registry().spacings.knows(name):
        found.append(_named("steps", levels.examine_steps, spacing(token)))
    return found


def _named(name: str, function: Callable[[str, Any], CheckResult], subject: object) -> Check:
    def examine() -> CheckResult:
        return function(name, subject)

    examine.__name__ = name
    examine.__doc__ = function.__doc__
    return examine


def _guarded(one: Check) -> CheckResult:
    """The result; an error that the rule raises is a failure of this certificate, not the end of the examination."""
    try:
        return one()
    except DtoolError as error:
        return CheckResult(one.__name__, "fail", "error", f"{error}; {error.hint}" if error.hint else str(error))


def _marginals(name: str, recipe: Recipe) -> CheckResult:
    """Every network input has mean α·x0 and variance σ²."""
    found = [(marginals.deviation(recipe.rule, points), label) for label, points in grids.panel(recipe)]
    mean, where_mean = max((d.mean, label) for d, label in found)
    variance, where_variance = max((d.variance, label) for d, label in found)
    if mean > marginals.BAR:
        return CheckResult(name, "fail", f"mean off by {mean:.1e}", f"on {where_mean}; at most {marginals.BAR:.0e}")
    if variance > marginals.BAR and recipe.rule.exception:
        figure = f"variance off by {variance:.2g}"
        return CheckResult(name, "info", figure, f"on {where_variance}, on purpose: {recipe.rule.exception}")
    detail = f"largest deviation on {len(found)} grids ({where_variance}); at most {marginals.BAR:.0e}"
    return CheckResult(name, _passed(variance <= marginals.BAR), f"{max(mean, variance):.1e}", detail)


def _compiled(name: str, recipe: Recipe) -> CheckResult:
    """The compiled table does what the rule does."""
    found = [(compiled.difference(recipe.rule, grids.random(9, seed, clean=seed % 2 == 0)), seed) for seed in range(6)]
    worst = max(value for value, _ in found)
    detail = f"the table against the rule step by step, on {len(found)} grids; at most {compiled.BAR:.0e}"
    return CheckResult(name, _passed(worst <= compiled.BAR), f"{worst:.1e}", detail)


def _order_local(name: str, recipe: Recipe) -> CheckResult:
    """One step from the exact past errs at the declared order + 1."""
    if reason := _no_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    late = order.keeps(recipe.rule)
    wanted = recipe.rule.order + (not late)
    slopes = {shape: order.local_slope(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or s.value > wanted - 0.15 for s in slopes.values())
    why = "the rule corrects x one call later, so its own order" if late else "its order + 1"
    detail = f"error of one step from exact history, {_shapes(slopes)}; {wanted} ({why}), less 0.15 at most"
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _order_global(name: str, recipe: Recipe) -> CheckResult:
    """Begun from exact history, the error at the end falls at the declared order."""
    if reason := _no_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    wanted = recipe.rule.order
    measure = order.global_slope if order.looks_back(recipe.rule) else order.shipped_slope
    slopes = {shape: measure(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or abs(s.value - wanted) <= 0.1 for s in slopes.values())
    detail = f"error at the end, exact start, {_shapes(slopes)}; declared {wanted}, within 0.1"
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _order_shipped(name: str, recipe: Recipe) -> CheckResult:
    """With its own start-up, the error falls at least at the order that the start-up allows."""
    if reason := _no_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    wanted = min(recipe.rule.order, recipe.rule.startup_order + 1)
    slopes = {shape: order.shipped_slope(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or s.value > wanted - 0.1 for s in slopes.values())
    detail = f"error at the end as shipped, {_shapes(slopes)}; {wanted}, less 0.1 at most"
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _moments(name: str, recipe: Recipe) -> CheckResult:
    """On Gaussian data, mean and standard deviation converge as fast as the order and the start-up allow."""
    rule = recipe.rule
    slopes = {shape: moments.weak_slope(rule, shape) for shape in grids.SHAPES}
    wanted = min(rule.order, rule.startup_order + 1)
    good = all(s.exact or s.value > wanted - 0.1 for s in slopes.values())
    detail = f"error of mean and std on N(0.2, 0.15²), {_shapes(slopes)}; {wanted}, less 0.1 at most"
    if rule.exception and not good:
        last = max(error for s in slopes.values() for _, error in s.errors[-1:])
        return CheckResult(name, "info", f"off by {last:.2g}", f"does not converge, on purpose: {rule.exception}")
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _ends(name: str, recipe: Recipe) -> CheckResult:
    """σ = 0, α = 0, one step, every step: finite, and as many steps and calls as stated."""
    found = [(case.label, ends.examine(recipe.rule, case)) for case in ends.cases(recipe)]
    wrong = [f"{label}: {problem}" for label, problem in found if problem]
    figure = f"{len(found) - len(wrong)}/{len(found)}"
    detail = wrong[0] if wrong else f"{len(found)} grids; all finite, steps and calls as stated"
    return CheckResult(name, _passed(not wrong), figure, detail)


def _backends(name: str, recipe: Recipe) -> CheckResult:
    """numpy, torch and ONNX Runtime draw the same pictures from the same noise, step by step."""
    from dtool.testing import backends

    found = backends.differences(recipe)
    absent = _absent(found)
    measured = {k: v for k, v in found.items() if v is not None and k != "numpy"}
    if not measured:
        return CheckResult(name, "skip", "-", absent.removeprefix("; "))
    figure = " / ".join(f"{value:.1e}" for value in measured.values())
    detail = f"numpy against {' and '.join(measured)}, every step, float32; at most {backends.BAR:.0e}{absent}"
    return CheckResult(name, _passed(max(measured.values()) <= backends.BAR), figure, detail)


def _batch(name: str, recipe: Recipe) -> CheckResult:
    """An image is the same, bit for bit, alone and in any batch."""
    from dtool.testing import backends

    found = backends.batch_differences(recipe)
    changed = {k: v for k, v in found.items() if v is not None}
    detail = f"numbers that change with the batch, on {', '.join(changed)}; none may{_absent(found)}"
    return CheckResult(name, _passed(not any(changed.values())), str(sum(changed.values())), detail)


def _absent(found: Mapping[str, float | None]) -> str:
    """The backends that could not be examined, as a remark."""
    missing = [backend for backend, value in found.items() if value is None]
    return f"; not installed: {', '.join(missing)}" if missing else ""


def _passed(good: bool) -> Status:
    return "pass" if good else "fail"


def _no_ode(rule: Rule) -> str:
    """Why the rule, with these options, does not solve the probability-flow ODE; "" if it does."""
    if compile_plan(rule, grids.by_lam(4), prediction="x0").stochastic:
        return "the sampler is stochastic: see moments"
    return f"no solver of the ODE, on purpose: {rule.exception}" if rule.exception else ""


def _figure(slopes: dict[str, Slope]) -> str:
    return " / ".join("exact" if s.exact else str(s) for s in slopes.values())


def _shapes(slopes: dict[str, Slope]) -> str:
    return " / ".join(slopes) + " grid in λ"


_LIST: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "marginals": _marginals,
    "compiled": _compiled,
    "order-local": _order_local,
    "order-global": _order_global,
    "order-shipped": _order_shipped,
    "moments": _moments,
    "ends": _ends,
    "backends": _backends,
    "batch": _batch,
}
