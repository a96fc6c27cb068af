"""The exponential Adams engine: x0 or ε, interpolated through earlier nodes and integrated exactly over the step.

The reverse SDE of strength η (its ODE for η = 0), solved for x at `to`, with h = λ' - λ:

    x' = σ'/σ·e^{-ηh}·x + α'(1+η) ∫ e^{(1+η)(l-λ')} x0(l) dl + σ'√(1-e^{-2ηh})·z      over l from λ to λ'
    x' = α'/α·x - σ' ∫ e^{λ'-l} ε(l) dl  =  α'/α·x + α' ∫ ε dv                        (η = 0)

A method is the choice of what is interpolated (x0 or ε), in which variable (λ, v = σ/α or a time), and through how
many nodes. Every integral is then a sum of weights times predictions (Hochbruck and Ostermann, Acta Numerica 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import exp, expm1
from typing import Any

from dtool.samplers.engines.one_step import sde_noise

EQUAL_SPACING_WEIGHTS = (  # Adams' and Bashforth's, by the number of values, the newest first
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def select_nodes(now: Any, to: Any, order: int) -> list[Any]:
    """`now` and the nodes before it that a polynomial in λ can go through, `order` at most.

    Only `now` where the step has no length, or λ is infinite at one of its ends; an earlier node with infinite λ ends
    the list.
    """
    return select_eps_nodes(now, order) if to.sigma > 0 and now.alpha > 0 and to.lam != now.lam else [now]


def select_eps_nodes(now: Any, order: int) -> list[Any]:
    """`now` and the nodes before it that have an ε (α > 0), `order` at most."""
    nodes, node = [now], now.before
    while len(nodes) < order and node is not None and node.alpha > 0:
        nodes.append(node)
        node = node.before
    return nodes


def limit_order(now: Any, order: int, lower_order_final: str) -> int:
    """The order of this step: `order`, or less where it is one of the last and those are to be lower."""
    few = lower_order_final == "always" or (lower_order_final == "under-15" and now.index + now.left + 1 < 15)
    if few or (lower_order_final == "last" and now.left == 0):
        return min(order, int(now.left) + 1)
    return order


def exponential_moments(z: float, count: int) -> list[float]:
    """∫₀¹ e^{(1-u)z}·u^j du = j!·φ_{j+1}(z) for j < count, to machine precision for every z.

    By parts, μ_j = (j·μ_{j-1} - 1)/z. Small z would cancel there: the last moment is then summed as a series, and the
    recursion run downwards.
    """
    if abs(z) >= 1:
        moments = [expm1(z) / z]
        for j in range(1, count):
            moments.append((j * moments[-1] - 1) / z)
        return moments
    last, term, k = 0.0, 1 / count, count
    while abs(term) > 1e-18:
        last += term
        k += 1
        term *= z / k
    moments = [last]
    for j in range(count - 1, 0, -1):
        moments.append((1 + z * moments[-1]) / j)
    return moments[::-1]


def lagrange_weights(places: Sequence[float], moments: Sequence[float]) -> list[float]:
    """The weights w with Σ_k w_k·f(places_k) = ∫ p, p the polynomial through f; moments_j = ∫ u^j.

    Newton's form: of each Newton polynomial N_i the integral, times the divided difference of f that goes with it.
    """
    weights: list[float] = []
    divisors: list[float] = []
    rest = list(moments)  # ∫ N_i(u)·u^j
    for place in places:
        last = 1.0
        for k, divisor in enumerate(divisors):
            apart = places[k] - place
            divisors[k] = divisor * apart
            weights[k] += rest[0] / divisors[k]
            last *= -apart
        divisors.append(last)
        weights.append(rest[0] / last)
        rest = [up - place * same for same, up in pairwise(rest)]
    return weights


def data_weights(nodes: Sequence[Any], now: Any, to: Any, eta: float = 0.0) -> list[float]:
    """The weights of x0 at `nodes` in the step, for the polynomial in λ through them."""
    h = to.lam - now.lam
    if len(nodes) == 1:
        return [-to.alpha * expm1(-(1 + eta) * h)]
    scale = to.alpha * (1 + eta) * h
    moments = [scale * m for m in exponential_moments(-(1 + eta) * h, len(nodes))]
    return lagrange_weights([(node.lam - now.lam) / h for node in nodes], moments)


def midpoint_weights(nodes: Sequence[Any], now: Any, to: Any, eta: float = 0.0) -> list[float]:
    """The weights that take x0 for constant over the step, at the value it is extrapolated to in the middle."""
    h = to.lam - now.lam
    whole = -to.alpha * expm1(-(1 + eta) * h)
    if len(nodes) == 1:
        return [whole]
    beyond = whole * h / (2 * (now.lam - nodes[1].lam))
    return [whole + beyond, -beyond]


def data_step(
    now: Any, to: Any, nodes: Sequence[Any], weights: Sequence[float], z: Any = None, eta: float = 0.0, x: Any = None
) -> Any:
    """x' = σ'/σ·e^{-ηh}·x + Σ w·x0 + σ'√(1-e^{-2ηh})·z, from `now.x` if no other x is given."""
    h = to.lam - now.lam
    noisy = eta != 0 and to.sigma != 0
    kept = to.sigma / now.sigma * exp(-eta * h) if noisy else to.sigma / now.sigma
    mean = kept * (now.x if x is None else x) + weighted_sum(nodes, weights)
    return mean + sde_noise(now, to, eta) * z if noisy else mean


def weighted_sum(nodes: Sequence[Any], weights: Sequence[float]) -> Any:
    """Σ w·x0 over the nodes."""
    total = weights[0] * nodes[0].x0
    for node, weight in zip(nodes[1:], weights[1:], strict=True):
        total = total + weight * node.x0
    return total


def noise_step(now: Any, to: Any, nodes: Sequence[Any], weights: Sequence[float]) -> Any:
    """x' = α'/α·x + Σ w·ε, the step in the ε form; from α = 0 by way of the predicted image."""
    if now.alpha == 0:
        return to.alpha * now.x0 + to.sigma * now.eps
    total = to.alpha / now.alpha * now.x
    for node, weight in zip(nodes, weights, strict=True):
        total = total + weight * node.eps
    return total


def equal_spacing_step(now: Any, to: Any, order: int) -> Any:
    """The step in v = σ/α with the weights that are right for equal steps, as many as there are values of ε."""
    nodes, whole = select_eps_nodes(now, order), constant_eps_weight(now, to)
    return noise_step(now, to, nodes, [whole * w for w in EQUAL_SPACING_WEIGHTS[len(nodes) - 1]])


def lam_weights(nodes: Sequence[Any], now: Any, to: Any) -> list[float]:
    """The weights of ε at `nodes` in the step, for the polynomial in λ through them."""
    if len(nodes) == 1:
        return [constant_eps_weight(now, to)]
    h = to.lam - now.lam
    moments = [-to.sigma * h * m for m in exponential_moments(h, len(nodes))]
    return lagrange_weights([(node.lam - now.lam) / h for node in nodes], moments)


def v_weights(nodes: Sequence[Any], now: Any, to: Any) -> list[float]:
    """The weights of ε at `nodes` in the step, for the polynomial in v = σ/α through them: Adams-Bashforth's."""
    whole, dv = constant_eps_weight(now, to), to.v - now.v
    if len(nodes) == 1:
        return [whole]
    moments = [whole / (j + 1) for j in range(len(nodes))]
    return lagrange_weights([(node.v - now.v) / dv for node in nodes], moments)


def constant_eps_weight(now: Any, to: Any) -> float:
    """α'(v' - v), the weight that a constant ε has; without cancellation where the step is short."""
    if now.alpha == 0:
        return 0.0  # such a step goes by way of the predicted image: see noise_step
    return float(-to.sigma * expm1(to.lam - now.lam) if to.sigma > 0 else -now.sigma * to.alpha / now.alpha)
