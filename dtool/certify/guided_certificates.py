"""The certificates of a recipe with guidance, beside those of its sampler: what is measured, and against which bar."""

from __future__ import annotations

from collections.abc import Callable

from dtool.certify import grids, guided, guided_moments
from dtool.certify.result import CheckResult, largest
from dtool.plan import Recipe

SLACK = 0.15  # by how much an order may fall short


def _check_rows(name: str, recipe: Recipe) -> CheckResult:
    """Each row is the rule's own, on x + shift·(D - D_without), with the guided image D."""
    guidance = guided.choose_guidance(recipe)
    panel = [grids.by_lam(12), grids.two_pass_grid(8), *(grids.random_grid(9, s, clean=s % 2 == 0) for s in range(2))]
    worst = largest(guided.rows_difference(recipe.rule, guidance, points) for points in panel)
    detail = f"{guidance.token} on a mixture and one of its classes, on {len(panel)} grids; at most {guided.BAR:.0e}"
    return CheckResult(name, "pass" if worst <= guided.BAR else "fail", f"{worst:.1e}", detail)


def _check_order(name: str, recipe: Recipe) -> CheckResult:
    """The error to the ODE of the guided field, integrated independently, falls as the steps double."""
    guidance = guided.choose_guidance(recipe)
    if reason := guided.explain_no_order(recipe.rule, guidance):
        return CheckResult(name, "skip", "-", reason)
    expected = guided.expected_order(recipe.rule, guidance)
    value = guided.guided_order(recipe.rule, guidance)
    why = "its order" if expected == recipe.rule.order else "what start-up and rows of different strength leave"
    detail = f"error at the end, guided by {guidance.token}; {expected} ({why}), less {SLACK} at most"
    return CheckResult(name, "pass" if value > expected - SLACK else "fail", f"{value:.2f}", detail)


def _check_weak_order(name: str, recipe: Recipe) -> CheckResult:
    """The law of stochastic guided runs converges as the steps double, on Gaussian data, without random numbers.

    To order 1 at least: noise that makes up for the step before it, as an ancestral one's, does so for the law of the
    data, which guidance leaves.
    """
    guidance = guided.choose_guidance(recipe)
    if reason := guided_moments.explain_no_weak_order(recipe.rule, guidance):
        return CheckResult(name, "skip", "-", reason)
    value = guided_moments.guided_weak_order(recipe.rule, guidance)
    detail = f"mean and standard deviation, guided by {guidance.token}; 1 at least, less {SLACK} at most"
    return CheckResult(name, "pass" if value > 1 - SLACK else "fail", f"{value:.2f}", detail)


GUIDED_CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "guided-rows": _check_rows,
    "guided-order": _check_order,
    "guided-weak-order": _check_weak_order,
}
