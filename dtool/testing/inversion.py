"""Certificates of a rule that leads from an image to noise: grids are walked upwards, and back by DDIM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dtool.plan import Recipe, grid, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import sampler
from dtool.samplers.rule import Rule
from dtool.schedulers import schedule, spacing
from dtool.testing import backends, compiled, grids
from dtool.testing.result import CheckResult, largest
from dtool.testing.slopes import slope_of
from dtool.testing.targets import THREE, Array
from dtool.testing.walk import optimal, walk


def _compiled(name: str, recipe: Recipe) -> CheckResult:
    """The compiled table does what the rule does."""
    worst = 0.0
    for seed in range(6):
        points = grids.random(9, seed, clean=seed % 2 == 0)
        made = compile_plan(recipe.rule, points)
        x = np.linspace(-0.5, 0.5, 7)
        stepped = run_eager(recipe.rule, points, THREE.eps, x)
        worst = largest([worst, float(np.abs(walk(made, optimal(THREE, made), x) - stepped).max())])
    detail = f"the table against the rule step by step, on 6 grids; at most {compiled.BAR:.0e}"
    return CheckResult(name, "pass" if worst <= compiled.BAR else "fail", f"{worst:.1e}", detail)


def _order(name: str, recipe: Recipe) -> CheckResult:
    """The error against the exact ODE, upwards, falls at the declared order."""
    found = {shape: slope_of(partial(upward_error, recipe.rule, shape=shape)) for shape in grids.SHAPES}
    good = all(s.exact or abs(s.value - recipe.rule.order) <= 0.1 for s in found.values())
    detail = f"error at the noise, {' / '.join(found)} grid in λ; declared {recipe.rule.order}, within 0.1"
    return CheckResult(name, "pass" if good else "fail", " / ".join(map(str, found.values())), detail)


def upward_error(rule: Rule, n: int, shape: str = "uniform") -> float:
    """The error at the noise after `n` steps, against the exact ODE."""
    points = grids.by_lam(n, shape)[::-1]
    made, x = compile_plan(rule, points), _start(points[0].alpha)
    return float(np.abs(walk(made, optimal(THREE, made), x) - THREE.transport(x, points[0], points[-1])).max())


def _round_trip(name: str, recipe: Recipe) -> CheckResult:
    """To noise and back by DDIM on the same grid: what is missed falls as the steps double."""
    slope = slope_of(partial(_missed, recipe.rule))
    detail = f"to noise and back by ddim, off by {slope.errors[-1][1]:.1e} in {slope.errors[-1][0]} steps"
    good = slope.exact or slope.value > 0.9
    return CheckResult(name, "pass" if good else "fail", "exact" if slope.exact else str(slope), detail)


def _missed(rule: Rule, n: int) -> float:
    points = grids.by_lam(n)
    up, down = compile_plan(rule, points), compile_plan(sampler("ddim"), points, prediction="x0")
    x = _start(points[-1].alpha)
    noise = walk(up, optimal(THREE, up), x)
    return float(np.abs(walk(down, optimal(THREE, down), noise) - x).max())


def _ends(name: str, recipe: Recipe) -> CheckResult:
    """From σ = 0, to α = 0, one step, every step: finite, and as many steps as stated."""
    wrong, cases = [], 0
    for levels in ("linear:T=50", "linear:T=50,zero_snr=true", "cosine", "linear:T=1"):
        table = schedule(levels)
        for n in sorted(k for k in {1, 2, 7, min(table.T, 50)} if k <= table.T):
            cases += 1
            made = compile_plan(recipe.rule, grid(table, spacing("trailing"), n), prediction="v")
            end = walk(made, optimal(THREE, made), _start(1.0))
            if made.steps != n or not np.isfinite(end).all():
                wrong.append(f"{levels}, {n} steps: {made.steps} steps, or not finite")
    detail = wrong[0] if wrong else f"{cases} grids; all finite, steps as stated"
    return CheckResult(name, "fail" if wrong else "pass", f"{cases - len(wrong)}/{cases}", detail)


def _backends(name: str, recipe: Recipe) -> CheckResult:
    """numpy, torch and ONNX Runtime find the same noise."""
    found = {k: v for k, v in backends.differences(recipe).items() if v is not None and k != "numpy"}
    if not found:
        return CheckResult(name, "skip", "-", "neither torch nor onnxruntime is installed")
    figure = " / ".join(f"{value:.1e}" for value in found.values())
    detail = f"numpy against {' and '.join(found)}, every step, float32; at most {backends.BAR:.0e}"
    return CheckResult(name, "pass" if largest(found.values()) <= backends.BAR else "fail", figure, detail)


def _start(alpha: float) -> Array:
    return np.asarray(alpha * np.linspace(-0.5, 0.5, 7))


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "compiled": _compiled,
    "order-shipped": _order,
    "round-trip": _round_trip,
    "ends": _ends,
    "backends": _backends,
}
