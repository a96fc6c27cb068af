"""Explicit Runge-Kutta steps of the probability-flow ODE, classical and exponential: a stage is one short expression.

The ODE is dx̄/dv = ε in x̄ = x/α against v = σ/α (classical), or with its linear part solved exactly (exponential)
d(x/α)/dλ = -e^{-λ}·ε (arXiv:2206.00927, eq. 3.4) and d(x/σ)/dλ = e^λ·x0 (arXiv:2211.01095, eq. 8). In all three a step
is the step of order 1, and a mean over the stages of how far a prediction m, ε or x0, has changed by then:

    x_to = α_to·x0 + σ_to·ε + reach · Σ w_i (m_i - m_now)

A method is its levels and weights. In λ the kernel is e^{-λ} for ε and e^λ for x0; `lean` is
what it makes of a slope.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from math import exp, expm1, hypot, log, nan, sqrt
from typing import Any, Literal

Of = Literal["eps", "x0"]
Asked = Generator[tuple[Any, Any], Any, Any]


def explicit(now: Any, to: Any, *stages: tuple[float, Any], of: Of = "eps", euler: Any = None) -> Any:
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


def two_stages(now: Any, to: Any, at: Any, weight: float, of: Of = "eps") -> Asked:
    """(x at `to`, the node of the stage): one stage at the level `at`, reached by Euler's method, with this weight."""
    euler = explicit(now, at)
    mid = yield euler, at
    return explicit(now, to, (weight, mid), of=of, euler=euler if at is to else None), mid


def three_stages(now: Any, to: Any, of: Of) -> Asked:
    """x at `to`: stages a third and two thirds of the way in λ, the tableau of DPM-Solver-3 for ε or for x0."""
    y = (to.lam - now.lam) * (1 if of == "eps" else -1)
    third, thirds = part(now, to, 1 / 3), part(now, to, 2 / 3)
    one = yield explicit(now, third), third
    two = yield explicit(now, thirds, (2 * lean(2 * y / 3), one), of=of), thirds
    return explicit(now, to, (1.5 * lean(y), two), of=of)


def lean(y: float) -> float:
    """The mean of u in [0, 1] under the kernel e^{-yu}: 1/y - 1/(e^y - 1), ½ at y = 0.

    A prediction that changes by d over the step changes by lean·d in the kernel's mean: y = h for ε, -h for x0.
    """
    if abs(y) < 0.05:
        return 0.5 - y / 12 + y**3 / 720 - y**5 / 30240
    return 1 / y if y > 700 else 1 / y - 1 / expm1(y)


def ended(now: Any, to: Any) -> bool:
    """Whether the step is from infinite v or to σ = 0: there λ has no step length, and no prediction a slope in it."""
    return bool(to.sigma == 0 or now.alpha == 0)


def level(now: Any, to: Any, lam: float) -> Any:
    """The point with this λ on the way from `now` to `to`: √(α² + σ²) changes as a power of e^λ, so stays if it may."""
    u = min(max((lam - now.lam) / (to.lam - now.lam), 0.0), 1.0)
    size = exp((1 - u) * log(hypot(now.alpha, now.sigma)) + u * log(hypot(to.alpha, to.sigma)))
    return replace(now.point, alpha=size / sqrt(1 + exp(-2 * lam)), sigma=size / sqrt(1 + exp(2 * lam)), t=nan)


def part(now: Any, to: Any, r: float) -> Any:
    """The point a part r of the way from `now` to `to` in λ."""
    return to if r == 1 else level(now, to, now.lam + r * (to.lam - now.lam))


def down(to: Any, noise: float) -> Any:
    """Below `to`, at its α: where a step ends that adds `noise` afterwards, which brings it to `to`."""
    return replace(to, sigma=sqrt(max(to.sigma**2 - noise**2, 0.0)), t=nan)
