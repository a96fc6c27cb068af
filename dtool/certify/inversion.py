"""Certificates of a rule that leads from an image to noise: grids are walked upwards, and back by DDIM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dtool.certify import backends, compiled, grids
from dtool.certify.laws import THREE_GAUSSIANS, run_optimal_network
from dtool.certify.result import CheckResult, largest
from dtool.certify.slopes import fit_slope
from dtool.plan import Recipe, grid, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import Rule
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from dtool.util.arrays import Array


def _check_compiled(name: str, recipe: Recipe) -> CheckResult:
    """The compiled table does what the rule does."""
    worst = 0.0
    for seed in range(6):
        points = grids.random_grid(9, seed, clean=seed % 2 == 0)
        plan = compile_plan(recipe.rule, points)
        x = np.linspace(-0.5, 0.5, 7)
        eager = run_eager(recipe.rule, points, THREE_GAUSSIANS.eps, x)
        worst = largest([worst, float(np.abs(run_optimal_network(plan, THREE_GAUSSIANS, x) - eager).max())])
    detail = f"the table against the rule run step by step, on 6 grids; at most {compiled.BAR:.0e}"
    return CheckResult(name, "pass" if worst <= compiled.BAR else "fail", f"{worst:.1e}", detail)


def _check_order(name: str, recipe: Recipe) -> CheckResult:
    """The error against the exact ODE, upwards, falls at the declared order."""
    slopes = {shape: fit_slope(partial(upward_error, recipe.rule, shape=shape)) for shape in grids.SHAPES}
    expected = min(recipe.rule.order, recipe.rule.startup_order + 1)
    good = all(s.exact or abs(s.value - expected) <= 0.1 for s in slopes.values())
    detail = f"error at the noise as shipped, {' / '.join(slopes)} grid in λ; {expected}, within 0.1"
    return CheckResult(name, "pass" if good else "fail", " / ".join(map(str, slopes.values())), detail)


def upward_error(rule: Rule, n: int, shape: str = "uniform") -> float:
    """The error at the noise after `n` steps, against the exact ODE."""
    points = grids.by_lam(n, shape)[::-1]
    plan, x = compile_plan(rule, points), _make_start(points[0].alpha)
    return float(
        np.abs(
            run_optimal_network(plan, THREE_GAUSSIANS, x) - THREE_GAUSSIANS.transport(x, points[0], points[-1])
        ).max()
    )


def _check_round_trip(name: str, recipe: Recipe) -> CheckResult:
    """To noise and back by DDIM on the same grid: what is missed falls as the steps double."""
    slope = fit_slope(partial(_round_trip_error, recipe.rule))
    detail = f"to noise and back by ddim, with an error of {slope.errors[-1][1]:.1e} in {slope.errors[-1][0]} steps"
    good = slope.exact or slope.value > 0.9
    return CheckResult(name, "pass" if good else "fail", "exact" if slope.exact else str(slope), detail)


def _round_trip_error(rule: Rule, n: int) -> float:
    points = grids.by_lam(n)
    up, down = compile_plan(rule, points), compile_plan(get_sampler("ddim"), points, prediction="x0")
    x = _make_start(points[-1].alpha)
    noise = run_optimal_network(up, THREE_GAUSSIANS, x)
    return float(np.abs(run_optimal_network(down, THREE_GAUSSIANS, noise) - x).max())


def _check_ends(name: str, recipe: Recipe) -> CheckResult:
    """From σ = 0, to α = 0, one step, every step: finite, and as many steps as stated."""
    wrong, cases = [], 0
    for levels in ("linear:T=50", "linear:T=50,zero_snr=true", "cosine", "linear:T=1"):
        table = get_scheduler(levels)
        for n in sorted(k for k in {1, 2, 7, min(table.T, 50)} if k <= table.T):
            cases += 1
            plan = compile_plan(recipe.rule, grid(table, get_spacing("trailing"), n), prediction="v")
            end = run_optimal_network(plan, THREE_GAUSSIANS, _make_start(1.0))
            if plan.steps != n or not np.isfinite(end).all():
                wrong.append(f"{levels}, {n} steps: {plan.steps} steps, or not finite")
    detail = wrong[0] if wrong else f"{cases} grids; all finite, steps as stated"
    return CheckResult(name, "fail" if wrong else "pass", f"{cases - len(wrong)}/{cases}", detail)


def _check_backends(name: str, recipe: Recipe) -> CheckResult:
    """numpy, torch and ONNX Runtime find the same noise."""
    differences = {k: v for k, v in backends.differences(recipe).items() if v is not None and k != "numpy"}
    if not differences:
        return CheckResult(name, "skip", "-", "neither torch nor onnxruntime is installed")
    figure = " / ".join(f"{value:.1e}" for value in differences.values())
    detail = f"numpy against {' and '.join(differences)}, every step, float32; at most {backends.BAR:.0e}"
    return CheckResult(name, "pass" if largest(differences.values()) <= backends.BAR else "fail", figure, detail)


def _make_start(alpha: float) -> Array:
    return np.asarray(alpha * np.linspace(-0.5, 0.5, 7))


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "compiled": _check_compiled,
    "order-shipped": _check_order,
    "round-trip": _check_round_trip,
    "ends": _check_ends,
    "backends": _check_backends,
}
