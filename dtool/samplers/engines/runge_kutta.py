"""Explicit Runge-Kutta steps of the probability-flow ODE, classical and exponential: a stage is one short expression.

The ODE is dx̄/dv = ε in x̄ = x/α against v = σ/α (classical), or with its linear part solved exactly (exponential)
d(x/α)/dλ = -e^{-λ}·ε (arXiv:2206.00927, eq. 3.4) and d(x/σ)/dλ = e^λ·x0 (arXiv:2211.01095, eq. 8). In all three a step
is the step of order 1, and a mean over the stages of how far a prediction m, ε or x0, has changed by then:

    x_to = α_to·x0 + σ_to·ε + reach · Σ w_i (m_i - m_now)

A method is its levels and weights. In λ the kernel is e^{-λ} for ε and e^λ for x0; `kernel_mean` is
what it makes of a slope.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from math import exp, expm1, hypot, log, nan, sqrt
from typing import Any, Literal

from dtool.samplers.engines.one_step import one_step

StageBasis = Literal["eps", "x0"]
StageRequests = Generator[tuple[Any, Any], Any, Any]


def explicit_step(now: Any, to: Any, *stages: tuple[float, Any], of: StageBasis = "eps", euler: Any = None) -> Any:
    """x at `to` by the equation above; `stages` are (w_i, node) pairs, m is the prediction `of`. None: Euler's method.

    euler: what that gives at `to`, if it is known.
    reach is what the step would multiply a constant m with: α_to·(v_to - v) for ε, α_to·(1 - e^{-h}) for x0.
    """
    x = to.alpha * now.x0 + to.sigma * now.eps if euler is None else euler
    if stages:
        if of == "eps":
            reach = to.sigma - now.sigma * to.alpha / now.alpha
        else:
            reach = to.alpha - now.alpha * to.sigma / now.sigma
        for weight, node in stages:
            x = x + reach * weight * (getattr(node, of) - getattr(now, of))
    return x


def two_stage_step(now: Any, to: Any, at: Any, weight: float, of: StageBasis = "eps") -> StageRequests:
    """(x at `to`, the node of the stage): one stage at the level `at`, reached by Euler's method, with this weight."""
    euler = explicit_step(now, at)
    mid = yield euler, at
    return explicit_step(now, to, (weight, mid), of=of, euler=euler if at is to else None), mid


def noisy_two_stage_step(
    now: Any,
    to: Any,
    z: Any,
    noise: float,
    *,
    s_noise: float,
    middle: Callable[[Any], Any],
    weight: float,
    of: StageBasis = "eps",
) -> StageRequests:
    """x at `to`: one stage to the level below it, at `middle(low)`, and noise of the deviation `noise` up to `to`.

    The noise added is s_noise times as much. Euler's method at an end, where the stage would have no meaning.
    """
    if is_end_step(now, to):
        return one_step(now, to, s_noise * z, noise)
    low = point_below(to, noise)
    x, mid = yield from two_stage_step(now, low, middle(low), weight, of)
    return x + s_noise * noise * mid.z


def three_stage_step(now: Any, to: Any, of: StageBasis) -> StageRequests:
    """x at `to`: stages a third and two thirds of the way in λ, the tableau of DPM-Solver-3 for ε or for x0."""
    y = (to.lam - now.lam) * (1 if of == "eps" else -1)
    third, thirds = point_between(now, to, 1 / 3), point_between(now, to, 2 / 3)
    one = yield explicit_step(now, third), third
    two = yield explicit_step(now, thirds, (2 * kernel_mean(2 * y / 3), one), of=of), thirds
    return explicit_step(now, to, (1.5 * kernel_mean(y), two), of=of)


def kernel_mean(y: float) -> float:
    """The mean of u in [0, 1] under the kernel e^{-yu}: 1/y - 1/(e^y - 1), ½ at y = 0.

    A prediction that changes by d over the step changes by kernel_mean(y)·d in the kernel's mean:
    y = h for ε, -h for x0.
    """
    if abs(y) < 0.05:
        return 0.5 - y / 12 + y**3 / 720 - y**5 / 30240
    return 1 / y if y > 700 else 1 / y - 1 / expm1(y)


def is_end_step(now: Any, to: Any) -> bool:
    """Whether the step is from infinite v or to σ = 0: there λ has no step length, and no prediction a slope in it."""
    return bool(to.sigma == 0 or now.alpha == 0)


def point_at(now: Any, to: Any, lam: float) -> Any:
    """The point with this λ on the way from `now` to `to`: √(α² + σ²) changes as a power of e^λ, so stays if it may."""
    u = min(max((lam - now.lam) / (to.lam - now.lam), 0.0), 1.0)
    size = exp((1 - u) * log(hypot(now.alpha, now.sigma)) + u * log(hypot(to.alpha, to.sigma)))
    return replace(now.point, alpha=size / sqrt(1 + exp(-2 * lam)), sigma=size / sqrt(1 + exp(2 * lam)), t=nan)


def point_between(now: Any, to: Any, r: float) -> Any:
    """The point a part r of the way from `now` to `to` in λ."""
    return to if r == 1 else point_at(now, to, now.lam + r * (to.lam - now.lam))


def point_below(to: Any, noise: float) -> Any:
    """Below `to`, at its α: where a step ends that adds `noise` afterwards, which brings it to `to`."""
    return replace(to, sigma=sqrt(max(to.sigma**2 - noise**2, 0.0)), t=nan)
