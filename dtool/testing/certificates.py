"""The certificates of a sampler, one function each: what is measured, against which bar, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dtool.plan import Recipe
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Rule
from dtool.testing import compiled, ends, grids, identities, invariances, marginals, moments, order, rounding
from dtool.testing.result import CheckResult, Status, largest
from dtool.testing.slopes import Slope


def _marginals(name: str, recipe: Recipe) -> CheckResult:
    """Every network input has mean α·x0 and variance σ²."""
    found = [(marginals.deviation(recipe.rule, points), points, label) for label, points in grids.panel(recipe)]
    mean, where_mean = max((largest([d.mean / marginals.bar(points)]), label) for d, points, label in found)
    variance, where_variance = max((largest([d.variance / marginals.bar(points)]), label) for d, points, label in found)
    worst, where = max((largest([d.mean, d.variance]), label) for d, _, label in found)
    if mean > 1:
        figure = f"mean off by {largest(d.mean for d, _, _ in found):.1e}"
        return CheckResult(
            name, "fail", figure, f"on {where_mean}; at most {marginals.BAR:.0e}, or what rounding costs"
        )
    if variance > 1 and recipe.rule.exception:
        figure = f"variance off by {largest(d.variance for d, _, _ in found):.2g}"
        return CheckResult(name, "info", figure, f"on {where_variance}, on purpose: {recipe.rule.exception}")
    detail = f"largest deviation on {len(found)} grids ({where}); at most {marginals.BAR:.0e}, or what rounding costs"
    return CheckResult(name, _passed(variance <= 1), f"{worst:.1e}", detail)


def _compiled(name: str, recipe: Recipe) -> CheckResult:
    """The compiled table does what the rule does."""
    found = [(compiled.difference(recipe.rule, grids.random(9, seed, clean=seed % 2 == 0)), seed) for seed in range(6)]
    worst = largest(value for value, _ in found)
    detail = f"the table against the rule step by step, on {len(found)} grids; at most {compiled.BAR:.0e}"
    return CheckResult(name, _passed(worst <= compiled.BAR), f"{worst:.1e}", detail)


def _same(name: str, recipe: Recipe) -> CheckResult:
    """What is said to be the same method under another name is the same linear map."""
    found = []
    for words, one, other, panel in identities.claims(recipe.rule):
        found.append((largest(identities.apart(one, other, points) for points in panel), words))
    if not found:
        return CheckResult(name, "skip", "-", "no other name is claimed for this method")
    worst, words = max(found)
    detail = f"{'; '.join(w for _, w in found)}: coefficients apart by, at most {identities.BAR:.0e}"
    if worst > identities.BAR:
        detail = f"{words} does not hold: " + detail
    return CheckResult(name, _passed(worst <= identities.BAR), f"{worst:.1e}", detail)


def _invariances(name: str, recipe: Recipe) -> CheckResult:
    """VP, VE and flow coordinates give the same x/α; turned and scaled data give turned and scaled samples."""
    apart, coordinates = invariances.coordinates(recipe.rule)
    turned = invariances.similarity(recipe.rule)
    good = largest([apart, turned]) <= invariances.BAR
    detail = f"x/α in vp against {' and '.join(invariances.COORDINATES)} coordinates / turned and scaled data"
    detail += f"; at most {invariances.BAR:.0e}" + ("" if good else f"; worst in {coordinates}")
    return CheckResult(name, _passed(good), f"{apart:.1e} / {turned:.1e}", detail)


def _order_local(name: str, recipe: Recipe) -> CheckResult:
    """One step from the exact past errs at the declared order + 1."""
    if reason := not_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    late = recipe.rule.later
    wanted = recipe.rule.order + (not late)
    slopes = {shape: order.local_slope(recipe.rule, shape) for shape in grids.SHAPES}
    if late and not order.keeps(recipe.rule):
        detail = "it declares corrects=, and keeps nothing (now.keep) that could correct x later"
        return CheckResult(name, "fail", _figure(slopes), detail)
    good = all(s.exact or s.value > wanted - 0.15 for s in slopes.values())
    why = "the rule corrects x one call later, so its own order" if late else "its order + 1"
    detail = f"error of one step from exact history, {_shapes(slopes)}; {wanted} ({why}), less 0.15 at most"
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _order_global(name: str, recipe: Recipe) -> CheckResult:
    """Begun from exact history, the error at the end falls at the declared order."""
    if reason := not_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    wanted = recipe.rule.order
    measure = order.global_slope if order.looks_back(recipe.rule) else order.shipped_slope
    slopes = {shape: measure(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or abs(s.value - wanted) <= 0.1 for s in slopes.values())
    detail = f"error at the end, exact start, {_shapes(slopes)}; declared {wanted}, within 0.1"
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _order_shipped(name: str, recipe: Recipe) -> CheckResult:
    """With its own start-up, the error falls at least at the order that the start-up allows."""
    if reason := not_ode(recipe.rule):
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
    good = wanted > 0 and all(s.exact or s.value > wanted - 0.1 for s in slopes.values())
    detail = f"error of mean and std on N(0.2, 0.15²), {_shapes(slopes)}; {wanted}, less 0.1 at most"
    if rule.exception and not good:
        last = max(error for s in slopes.values() for _, error in s.errors[-1:])
        return CheckResult(name, "info", f"off by {last:.2g}", f"does not converge, on purpose: {rule.exception}")
    return CheckResult(name, _passed(good), _figure(slopes), detail)


def _ends(name: str, recipe: Recipe) -> CheckResult:
    """σ = 0, α = 0, one step, every step: finite, and as many steps and calls as stated."""
    found = [(case.label, ends.examine(recipe.rule, case)) for case in ends.cases(recipe)]
    if recipe.scheduler is not None:
        off, prediction = rounding.lost(recipe.rule, recipe.scheduler)
        lost = "" if off <= rounding.BAR else rounding.reason(recipe.scheduler, prediction)
        found.append((f"{recipe.scheduler.token or 'own schedule'}, in float32", lost))
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
    return CheckResult(name, _passed(largest(measured.values()) <= backends.BAR), figure, detail)


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


def not_ode(rule: Rule) -> str:
    """Why the rule, with these options, does not solve the probability-flow ODE; "" if it does."""
    if compile_plan(rule, grids.by_lam(4), prediction="x0").stochastic:
        return "the sampler is stochastic: see moments"
    return f"no solver of the ODE, on purpose: {rule.exception}" if rule.exception else ""


def _figure(slopes: dict[str, Slope]) -> str:
    return " / ".join("exact" if s.exact else str(s) for s in slopes.values())


def _shapes(slopes: dict[str, Slope]) -> str:
    return " / ".join(slopes) + " grid in λ"


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "marginals": _marginals,
    "compiled": _compiled,
    "same": _same,
    "invariances": _invariances,
    "order-local": _order_local,
    "order-global": _order_global,
    "order-shipped": _order_shipped,
    "moments": _moments,
    "ends": _ends,
    "backends": _backends,
    "batch": _batch,
}
