"""The certificates of a saved plan: what its rows do to a constant image; of a fitted one, what it gave up for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dtool.certify.adopted import MARGINALS, find_same, measure_marginals
from dtool.certify.certificates import CERTIFICATES as RULE_CERTIFICATES
from dtool.certify.result import CheckResult, Status, largest
from dtool.plan import Plan, Recipe
from dtool.plan.fit_record import FitRecord, HeldOut
from dtool.plan.foreign import ForeignRule

OVERFIT_BAR = 2.0  # by which share of itself the error on held-out noises may exceed that on the fitted ones
DEVIATION = 0.05  # by which the pixels' standard deviation may differ from the solution's


def get_plan(recipe: Recipe) -> Plan:
    """The plan in the file."""
    rule = recipe.rule
    assert isinstance(rule, ForeignRule), "only those are examined here"
    assert rule.saved is not None, "only those are examined here"
    return rule.saved


def _check_table(name: str, recipe: Recipe) -> CheckResult:
    """Every number is finite, nothing is read before it was written, and the file holds the plan bit for bit."""
    plan = get_plan(recipe)
    same = Plan.from_json(plan.to_json()) == plan
    detail = f"{plan.recipe}: {plan.steps} steps, {plan.rows} network calls; read again it is the same plan"
    return CheckResult(name, "pass" if same else "fail", f"{plan.rows} rows", detail)


def _check_marginals(name: str, recipe: Recipe) -> CheckResult:
    """Every network input has mean α·x0 and variance σ²; a table fitted to one path gives that up, and says so."""
    plan = get_plan(recipe)
    mean, variance, row = measure_marginals(plan)
    good = largest([mean, variance]) <= MARGINALS
    detail = f"mean / variance of the network's inputs for a constant image; at most {MARGINALS:.0e}"
    status: Status = "pass" if good else "fail"
    if not good and plan.fit is not None and plan.fit.kind == "path":
        status = "info"
        detail += f"; worst at network call {row + 1}, on purpose: the rows are fitted to this network's own images"
    return CheckResult(name, status, f"{mean:.2g} / {variance:.2g}", detail)


def _check_order(name: str, recipe: Recipe) -> CheckResult:
    """A table for so many calls has no order; what its rows do to a constant image says how far it is from one."""
    plan = get_plan(recipe)
    if plan.fit is None:
        token, apart = find_same(plan)
        detail = f"the nearest of dtool's samplers on this grid is {token}, coefficients apart by this"
        return CheckResult(
            name, "info", f"{apart:.1e}" if token else "-", detail if token else "none makes these calls"
        )
    defects = measure_consistency(plan)
    detail = "given up: there is no grid to refine; by so much the rows change an image that every call predicts alike"
    return CheckResult(name, "info", f"{defects.max():.2g}", f"{detail}: {', '.join(f'{d:.2g}' for d in defects)}")


def measure_consistency(plan: Plan) -> np.ndarray:
    """How far each row is from order 0: where a constant image and noise come out, less the level that comes next.

    In units of the size of x there, `(rows,)`.
    """
    alpha, sigma = np.append(plan.alpha, 1.0), np.append(plan.sigma, 0.0)
    found = np.empty(plan.rows)
    for i in range(plan.rows):
        weights = plan.b[i, : i + 1]
        past = np.arange(i, i - len(weights), -1)
        if plan.basis == "x0":
            image, noise = plan.a[i] * alpha[i] + weights.sum(), plan.a[i] * sigma[i]
        else:
            silent = alpha[past] == 0
            image = plan.a[i] * alpha[i] + weights[silent].sum()
            noise = plan.a[i] * sigma[i] + weights[~silent].sum()
        size = np.hypot(alpha[i + 1], sigma[i + 1])
        found[i] = np.hypot(image - alpha[i + 1], noise - sigma[i + 1]) / size
    return found


def _check_held_out(name: str, recipe: Recipe) -> CheckResult:
    """The error on noises that the fit never saw, beside the best named recipes at the same and at twice the calls."""
    record, held_out = _find_figures(recipe)
    if record is None or held_out is None:
        return CheckResult(name, "skip", "-", "it was not judged: dtool fit --resume judges it")
    figure = f"{held_out.rmse:.4g} [{held_out.low:.3g}, {held_out.high:.3g}]"
    beside = [
        f"{one.recipe} ({one.calls} calls) {one.rmse:.4g}, ratio {one.ratio:.2f} [{one.low:.2f}, {one.high:.2f}]"
        for one in held_out.rivals
    ]
    least = [record.training, record.validation] + ([held_out.floor] if record.kind == "law" else [])
    good = held_out.rmse <= OVERFIT_BAR * max(least)
    what = "RMSE" if record.kind == "path" else "sliced Wasserstein distance"
    detail = f"{what} on {held_out.images} held-out noises, training {record.training:.4g}; {'; '.join(beside)}"
    return CheckResult(name, "pass" if good else "fail", figure, detail)


def _check_law(name: str, recipe: Recipe) -> CheckResult:
    """The samples' law: their distance to the data beside that of the named recipes, and the spread of their pixels."""
    _, held_out = _find_figures(recipe)
    if held_out is None:
        return CheckResult(name, "skip", "-", "it was not judged: dtool fit --resume judges it")
    good = abs(held_out.deviation - 1) <= DEVIATION
    parts = [f"standard deviation of the pixels as a share of the solution's, within {DEVIATION:g} of 1"]
    if held_out.law is not None:
        rivals = [
            f"{rival.recipe} ({rival.calls}) {rival.law:.3g}" for rival in held_out.rivals if rival.law is not None
        ]
        parts.append(f"{held_out.metric} {held_out.law:.3g}, the solution's {held_out.teacher_law:.3g}")
        parts += rivals
    return CheckResult(name, "pass" if good else "fail", f"{held_out.deviation:.3f}", "; ".join(parts))


def _check_floor(name: str, recipe: Recipe) -> CheckResult:
    """What a last row could reach at most, with the best weights for each image by itself; or what the law allows."""
    record, held_out = _find_figures(recipe)
    if record is None or held_out is None:
        return CheckResult(name, "skip", "-", "it was not judged: dtool fit --resume judges it")
    detail = f"of this table's last row; it reaches {held_out.rmse:.4g}; other times have another floor"
    if record.kind == "law":
        detail = f"as far apart are as many of the solution's own images; the plan's are at {held_out.rmse:.4g}"
    return CheckResult(name, "info", f"{held_out.floor:.4g}", detail)


def _find_figures(recipe: Recipe) -> tuple[FitRecord | None, HeldOut | None]:
    record = get_plan(recipe).fit
    return record, None if record is None else record.held_out


def _force(check: Callable[[str, Recipe], CheckResult]) -> Callable[[str, Recipe], CheckResult]:
    """A check that runs the plan on a network of its own."""

    def run(name: str, recipe: Recipe) -> CheckResult:
        return check(name, replace(recipe, rule=recipe.rule.bind(force=True)))

    run.__doc__ = check.__doc__
    return run


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "table": _check_table,
    "marginals": _check_marginals,
    "order": _check_order,
    "held-out": _check_held_out,
    "law": _check_law,
    "floor": _check_floor,
    "backends": _force(RULE_CERTIFICATES["backends"]),
    "batch": _force(RULE_CERTIFICATES["batch"]),
}
OF_PLANS = ("table", "marginals", "order", "backends", "batch")  # that were not fitted
