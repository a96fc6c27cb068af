"""The certificates of a sampler, one function each: what is measured, against which bar, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dtool.certify import compiled, ends, grids, identities, invariances, marginals, moments, order, rounding
from dtool.certify.result import CheckResult, Status, largest
from dtool.certify.slopes import Slope
from dtool.plan import Recipe
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Rule


def _check_marginals(name: str, recipe: Recipe) -> CheckResult:
    """Every network input has mean α·x0 and variance σ²."""
    deviations = [
        (marginals.deviation(recipe.rule, points), points, label) for label, points in grids.list_grids(recipe)
    ]
    mean, where_mean = max(
        (largest([d.mean / marginals.allowed_deviation(points, d.rounding)]), label) for d, points, label in deviations
    )
    variance, where_variance = max(
        (largest([d.variance / marginals.allowed_deviation(points, d.rounding)]), label)
        for d, points, label in deviations
    )
    worst, where = max((largest([d.mean, d.variance]), label) for d, _, label in deviations)
    if mean > 1:
        figure = f"mean off by {largest(d.mean for d, _, _ in deviations):.1e}"
        return CheckResult(
            name, "fail", figure, f"on {where_mean}; at most {marginals.BAR:.0e}, or what rounding costs"
        )
    if variance > 1 and recipe.rule.marginals_caveat:
        figure = f"variance off by {largest(d.variance for d, _, _ in deviations):.2g}"
        return CheckResult(name, "info", figure, f"on {where_variance}, on purpose: {recipe.rule.marginals_caveat}")
    detail = (
        f"largest deviation on {len(deviations)} grids ({where}); at most {marginals.BAR:.0e}, or what rounding costs"
    )
    return CheckResult(name, _to_status(variance <= 1), f"{worst:.1e}", detail)


def _check_compiled(name: str, recipe: Recipe) -> CheckResult:
    """The compiled table does what the rule does."""
    differences = [
        (compiled.difference(recipe.rule, grids.random_grid(9, seed, clean=seed % 2 == 0)), seed) for seed in range(6)
    ]
    worst = largest(value for value, _ in differences)
    detail = f"the table against the rule run step by step, on {len(differences)} grids; at most {compiled.BAR:.0e}"
    return CheckResult(name, _to_status(worst <= compiled.BAR), f"{worst:.1e}", detail)


def _check_same(name: str, recipe: Recipe) -> CheckResult:
    """The methods that the rule declares to be its own under another name are the same linear map."""
    distances = []
    for words, one, other, panel in identities.list_claims(recipe.rule):
        distances.append((largest(identities.rule_distance(one, other, points) for points in panel), words))
    if not distances:
        return CheckResult(name, "skip", "-", "no other name is claimed for this method")
    worst, words = max(distances)
    detail = f"{'; '.join(w for _, w in distances)}: coefficients differ by; at most {identities.BAR:.0e}"
    if worst > identities.BAR:
        detail = f"{words} does not hold: " + detail
    return CheckResult(name, _to_status(worst <= identities.BAR), f"{worst:.1e}", detail)


def _check_invariances(name: str, recipe: Recipe) -> CheckResult:
    """VP, VE and flow coordinates give the same x/α; turned and scaled data give turned and scaled samples."""
    deviation, coordinates = invariances.coordinate_deviation(recipe.rule)
    similarity = invariances.similarity_deviation(recipe.rule)
    good = largest([deviation, similarity]) <= invariances.BAR
    detail = f"x/α in vp against {' and '.join(invariances.COORDINATES)} coordinates / turned and scaled data"
    detail += f"; at most {invariances.BAR:.0e}" + ("" if good else f"; worst in {coordinates}")
    return CheckResult(name, _to_status(good), f"{deviation:.1e} / {similarity:.1e}", detail)


def _check_order_local(name: str, recipe: Recipe) -> CheckResult:
    """One step from the exact past errs at the declared order + 1."""
    if reason := explain_not_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    corrects = recipe.rule.has_corrector
    expected = recipe.rule.order + (not corrects)
    slopes = {shape: order.local_slope(recipe.rule, shape) for shape in grids.SHAPES}
    if corrects and not order.has_kept_values(recipe.rule):
        detail = "it declares corrects= and keeps nothing (now.keep) with which x could be corrected later"
        return CheckResult(name, "fail", _format_slopes(slopes), detail)
    good = all(s.exact or s.value > expected - 0.15 for s in slopes.values())
    why = "the rule corrects x one call later, so its own order" if corrects else "its order + 1"
    detail = f"error of one step from exact history, {_format_shapes(slopes)}; {expected} ({why}), less 0.15 at most"
    return CheckResult(name, _to_status(good), _format_slopes(slopes), detail)


def _check_order_global(name: str, recipe: Recipe) -> CheckResult:
    """Begun from exact history, the error at the end falls at the declared order."""
    if reason := explain_not_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    expected = recipe.rule.order
    measure = order.global_slope if order.is_multistep(recipe.rule) else order.shipped_slope
    slopes = {shape: measure(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or abs(s.value - expected) <= 0.1 for s in slopes.values())
    detail = f"error at the end, exact start, {_format_shapes(slopes)}; declared {expected}, within 0.1"
    return CheckResult(name, _to_status(good), _format_slopes(slopes), detail)


def _check_order_shipped(name: str, recipe: Recipe) -> CheckResult:
    """With its own start-up, the error falls at least at the order that the start-up allows."""
    if reason := explain_not_ode(recipe.rule):
        return CheckResult(name, "skip", "-", reason)
    expected = min(recipe.rule.order, recipe.rule.startup_order + 1)
    slopes = {shape: order.shipped_slope(recipe.rule, shape) for shape in grids.SHAPES}
    good = all(s.exact or s.value > expected - 0.1 for s in slopes.values())
    detail = f"error at the end as shipped, {_format_shapes(slopes)}; {expected}, less 0.1 at most"
    return CheckResult(name, _to_status(good), _format_slopes(slopes), detail)


def _check_moments(name: str, recipe: Recipe) -> CheckResult:
    """On Gaussian data, mean and standard deviation converge as fast as the order and the start-up allow."""
    rule = recipe.rule
    if rule.order > order.HIGHEST_ON_GAUSSIANS and not explain_not_ode(rule):
        detail = "on Gaussian data an order above 4 is lost in rounding before it shows: see order-shipped"
        return CheckResult(name, "skip", "-", detail)
    slopes = {shape: moments.weak_slope(rule, shape) for shape in grids.SHAPES}
    expected = min(rule.order, rule.startup_order + 1)
    low = [shape for shape, s in slopes.items() if not (s.exact or max(s.value, s.finest) > expected - 0.1)]
    good = expected > 0 and all(moments.weak_limit(rule, shape) > expected - 0.1 for shape in low)
    detail = f"error of mean and std on N(0.2, 0.15²), {_format_shapes(slopes)}; {expected}, less 0.1 at most"
    detail += ", or so between the two finest grids"
    if good and low:
        detail += f"; {' and '.join(low)}: so is the limit of the slopes after an error that passes zero"
    if rule.marginals_caveat and not good:
        last = max(error for s in slopes.values() for _, error in s.errors[-1:])
        return CheckResult(
            name, "info", f"off by {last:.2g}", f"does not converge, on purpose: {rule.marginals_caveat}"
        )
    return CheckResult(name, _to_status(good), _format_slopes(slopes), detail)


def _check_ends(name: str, recipe: Recipe) -> CheckResult:
    """σ = 0, α = 0, one step, every step: finite, and as many steps and calls as stated."""
    problems = [(case.label, ends.examine(recipe.rule, case)) for case in ends.make_cases(recipe)]
    if recipe.scheduler is not None:
        loss, prediction = rounding.rounding_loss(recipe.rule, recipe.scheduler)
        problem_of_rounding = "" if loss <= rounding.BAR else rounding.describe_loss(recipe.scheduler, prediction)
        problems.append((f"{recipe.scheduler.token or 'own schedule'}, in float32", problem_of_rounding))
    wrong = [f"{label}: {problem}" for label, problem in problems if problem]
    figure = f"{len(problems) - len(wrong)}/{len(problems)}"
    detail = wrong[0] if wrong else f"{len(problems)} grids; all finite, steps and calls as stated"
    return CheckResult(name, _to_status(not wrong), figure, detail)


def _check_backends(name: str, recipe: Recipe) -> CheckResult:
    """numpy, torch and ONNX Runtime draw the same pictures from the same noise, step by step."""
    from dtool.certify import backends

    differences = backends.differences(recipe)
    remark = _describe_absent(differences)
    others = {k: v for k, v in differences.items() if v is not None and k != "numpy"}
    if not others:
        return CheckResult(name, "skip", "-", remark.removeprefix("; "))
    figure = " / ".join(f"{value:.1e}" for value in others.values())
    detail = f"numpy against {' and '.join(others)}, every step, float32; at most {backends.BAR:.0e}{remark}"
    return CheckResult(name, _to_status(largest(others.values()) <= backends.BAR), figure, detail)


def _check_batch(name: str, recipe: Recipe) -> CheckResult:
    """An image is the same, bit for bit, alone and in any batch."""
    from dtool.certify import backends

    differences = backends.batch_differences(recipe)
    changes = {k: v for k, v in differences.items() if v is not None}
    detail = f"numbers that change with the batch, on {', '.join(changes)}; none may{_describe_absent(differences)}"
    return CheckResult(name, _to_status(not any(changes.values())), str(sum(changes.values())), detail)


def _describe_absent(figures: Mapping[str, float | None]) -> str:
    """The backends that could not be examined, as a remark."""
    missing = [backend for backend, value in figures.items() if value is None]
    return f"; not installed: {', '.join(missing)}" if missing else ""


def _to_status(good: bool) -> Status:
    return "pass" if good else "fail"


def explain_not_ode(rule: Rule) -> str:
    """Why the rule, with these options, does not solve the probability-flow ODE; "" if it does."""
    if compile_plan(rule, grids.by_lam(4), prediction="x0").stochastic:
        return "the sampler is stochastic: see moments"
    return f"no solver of the ODE, on purpose: {rule.marginals_caveat}" if rule.marginals_caveat else ""


def _format_slopes(slopes: dict[str, Slope]) -> str:
    return " / ".join("exact" if s.exact else str(s) for s in slopes.values())


def _format_shapes(slopes: dict[str, Slope]) -> str:
    return " / ".join(slopes) + " grid in λ"


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "marginals": _check_marginals,
    "compiled": _check_compiled,
    "same": _check_same,
    "invariances": _check_invariances,
    "order-local": _check_order_local,
    "order-global": _check_order_global,
    "order-shipped": _check_order_shipped,
    "moments": _check_moments,
    "ends": _check_ends,
    "backends": _check_backends,
    "batch": _check_batch,
}
