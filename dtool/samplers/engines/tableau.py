"""Runge-Kutta methods as data over one engine: a method is its tableau, a few rows of numbers (J. C. Butcher, 1964).

A stage lies a part c_i of the way along the step and weighs the predictions of the stages before it with a_ij, the step
weighs them all with b_i. In v = σ/α the parts and the predicted ε make a classical method; in λ, with weights that
depend on the step's length h, x0 makes an exponential one, whose linear part is exact (arXiv:2211.01095, eq. 8).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import expm1, factorial, log1p
from typing import Any

from dtool.samplers.claims import Same
from dtool.samplers.engines.runge_kutta import StageBasis, explicit_step, is_end_step, point_at, point_between
from dtool.samplers.rule import Rule, sampler

Row = tuple[float, ...]
Weights = tuple[tuple[Row, ...], Row]  # (a, b)
Phi = Callable[[int, float], float]
COSTS = "{} network calls per step; one where the step is to σ = 0 or from α = 0."
NUMBERS = ("", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")


@dataclass(frozen=True)
class Tableau:
    """c, a and b of an explicit method: row i of `a` has the weights of the i stages before it."""

    c: Row
    a: tuple[Row, ...]
    b: Row


def take_step(now: Any, to: Any, method: Tableau, of: StageBasis = "eps") -> Generator[tuple[Any, Any], Any, Any]:
    """x at `to`: the stages in v for ε, in λ for x0; Euler's method at an end."""
    if is_end_step(now, to):
        return explicit_step(now, to)
    nodes = [now]
    for part, row in zip(method.c[1:], method.a[1:], strict=True):
        at = locate_stage(now, to, part, of)
        nodes.append(now if part == 0 else (yield explicit_step(now, at, *share(row, nodes), of=of), at))
    return explicit_step(now, to, *share(method.b, nodes), of=of)


def locate_stage(now: Any, to: Any, part: float, of: StageBasis) -> Any:
    """The level this part of the way along, in v for ε and in λ for x0."""
    if part == 1:
        return to
    if of == "x0":
        return point_between(now, to, part)
    return point_at(now, to, now.lam - log1p(part * (to.v / now.v - 1)))


def share(row: Row, nodes: Sequence[Any]) -> list[tuple[float, Any]]:
    """(weight, node) of each node that counts but the first, whose change is none; the weights of a row add to 1."""
    total = sum(row)
    return [(weight / total, node) for weight, node in zip(row[1:], nodes[1:], strict=False) if weight]


def unroll(c: Row, a: tuple[Row, ...], b: Row, rounds: int) -> Tableau:
    """An implicit method with so many rounds of its stages as an explicit one: each round with the last one's answers.

    The first stages are reached by Euler's method.
    """
    levels: list[float] = [0.0]
    rows: list[Row] = [()]
    for k in range(rounds):
        before = (0.0,) * (1 + len(c) * (k - 1))
        levels += c
        rows += [(part,) if k == 0 else (*before, *row) for part, row in zip(c, a, strict=True)]
    return Tableau(tuple(levels), tuple(rows), (0.0,) * (1 + len(c) * (rounds - 1)) + b)


def explicit(
    name: str, about: str, *, order: int, cite: str, c: Row, a: tuple[Row, ...], b: Row, same: Same | tuple[()] = (),
) -> Rule:  # fmt: skip
    """A classical method as a sampler."""
    method = Tableau(c, a, b)
    return _make_rule(name, about, lambda now, to: take_step(now, to, method), order, len(c), cite, same, "eps")


def exponential(
    name: str, about: str, *, order: int, cite: str, c: Row, weights: Callable[[Phi], Weights],
    same: Same | tuple[()] = (),
) -> Rule:  # fmt: skip
    """An exponential method as a sampler. weights(φ): a and b, of φ(k, c) = φ_k(-c·h) with h the step in λ."""

    def step(now: Any, to: Any) -> Any:
        h = to.lam - now.lam if not is_end_step(now, to) else 1.0
        return take_step(now, to, Tableau(c, *weights(lambda k, part: phi(k, -part * h))), "x0")

    return _make_rule(name, about, step, order, len(c), cite, same, "x0")


def _make_rule(
    name: str, about: str, step: Callable[[Any, Any], Any], order: int, calls: int, cite: str,
    same: Same | tuple[()], basis: StageBasis,
) -> Rule:  # fmt: skip
    """The sampler of a step, with its docstring."""

    def rule(now: Any, to: Any) -> Any:
        return (yield from step(now, to))

    rule.__doc__ = f"{about}\n\n{COSTS.format(NUMBERS[calls])}"
    return sampler(name, order=order, calls=calls, cite=cite, family="Runge-Kutta", same=same, basis=basis)(rule)


def phi(k: int, z: float) -> float:
    """φ_k(z), k ≥ 1: ∫₀¹ e^{(1-u)z} u^{k-1}/(k-1)! du, 1/k! at z = 0 (Hochbruck and Ostermann, 2010, eq. 2.10)."""
    if abs(z) < 1:
        term = total = 1.0 / factorial(k)
        for n in range(1, 20):
            term *= z / (k + n)
            total += term
        return total
    value = expm1(z) / z
    for n in range(1, k):
        value = (value - 1 / factorial(n)) / z
    return value
