"""Runge-Kutta methods as data over one engine: a method is its tableau, a few rows of numbers (J. C. Butcher, 1964).

A stage lies a part c_i of the way along the step and weighs the predictions of the stages with a_ij, the step weighs
them all with b_i. Each kind of step holds a constant image exactly, and differs in what is integrated:

    dx̄/dv = ε        x̄ = x/α against v = σ/α: the classical methods
    dy/dw = x0       y = x/σ against w = α/σ: the same, where a stage may lie at the end of the step
    d(x/σ)/dλ = e^λ·x0, the kernel integrated exactly: exponential methods (arXiv:2211.01095, eq. 8)

In v a stage at the end multiplies what it is told by v/v_to, with each round of an implicit method once more; in w
nothing grows, since a predicted image depends the less on x the noisier x is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import exp, expm1, factorial, log, log1p
from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_at, point_between
from dtool.samplers.rule import Rule, sampler

Row = tuple[float, ...]
Weights = tuple[tuple[Row, ...], Row]  # (a, b)
Phi = Callable[[int, float], float]
Requests = Generator[tuple[Any, Any], Any, Any]
COSTS = "{} network calls per step; one where the step is to σ = 0 or from α = 0."
ROUNDS = (
    "Each round evaluates the stages with the predictions of the round before, and gains an order; the first begins\n"
    "with Euler's method. {} network calls per step with all of them; one where the step is to σ = 0 or from α = 0."
)
NUMBERS = ("", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")


@dataclass(frozen=True)
class Tableau:
    """c, a and b of an explicit method: row i of `a` has the weights of the i stages before it."""

    c: Row
    a: tuple[Row, ...]
    b: Row


def take_step_in_v(now: Any, to: Any, method: Tableau) -> Requests:
    """x at `to` by the classical method; Euler's at an end.

    x̄ at a stage is v_i/v·x̄ and a sum of predicted images, ε there is x̄/v and a slope: written so, what cancels for a
    constant image is never added, and x keeps its noise to the last digit however far v falls in a step.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    slopes = [(-1 / now.v) * now.x0]
    for part, row in zip(method.c[1:], method.a[1:], strict=True):
        at = to if part == 1 else point_at(now, to, now.lam - log1p(part * (to.v / now.v - 1)))
        images = (at.v - now.v) * average(row, slopes)
        stage = yield at.sigma / now.sigma * now.x + at.alpha * images, at
        slopes.append((1 / at.v) * (images - stage.x0))
    return to.sigma / now.sigma * now.x + (to.alpha * (to.v - now.v)) * average(method.b, slopes)


def take_step_of_x0(now: Any, to: Any, method: Tableau, locate: Callable[[Any, Any, float], Any]) -> Requests:
    """x at `to` by weighing x0 at stages where `locate` has them, a stage at the start being `now`; Euler's at an end.

    The weights of a row are shares of what a constant x0 would add.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    nodes = [now]
    for part, row in zip(method.c[1:], method.a[1:], strict=True):
        at = locate(now, to, part)
        nodes.append(now if part == 0 else (yield explicit_step(now, at, *share(row, nodes), of="x0"), at))
    return explicit_step(now, to, *share(method.b, nodes), of="x0")


def locate_in_w(now: Any, to: Any, part: float) -> Any:
    """The level this part of the way along in w = α/σ."""
    return to if part == 1 else point_at(now, to, to.lam + log(part + (1 - part) * exp(now.lam - to.lam)))


def average(row: Row, values: Sequence[Any]) -> Any:
    """The mean of the values under the weights of a row."""
    return sum((weight / sum(row)) * value for weight, value in zip(row, values, strict=False) if weight)


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
    return _make_rule(name, about, lambda now, to: take_step_in_v(now, to, method), order, len(c), cite, same)


def exponential(
    name: str, about: str, *, order: int, cite: str, c: Row, weights: Callable[[Phi], Weights],
    same: Same | tuple[()] = (),
) -> Rule:  # fmt: skip
    """An exponential method as a sampler. weights(φ): a and b, of φ(k, c) = φ_k(-c·h) with h the step in λ."""

    def step(now: Any, to: Any) -> Any:
        h = to.lam - now.lam if not is_end_step(now, to) else 1.0
        method = Tableau(c, *weights(lambda k, part: phi(k, -part * h)))
        return take_step_of_x0(now, to, method, point_between)

    return _make_rule(name, about, step, order, len(c), cite, same)


def implicit(
    name: str, about: str, *, order: int, cite: str, c: Row, a: tuple[Row, ...], b: Row, in_v: bool = False,
) -> Rule:  # fmt: skip
    """An implicit method whose equations are solved by a fixed number of rounds, as a sampler with that option.

    in_v: whether it is ε that is integrated, in v, and not x0 in w; for methods without a stage at the end of the step.
    """
    stages = sum(part > 0 for part in c)

    def rule(now: Any, to: Any, *, rounds: int = order - 1) -> Any:
        method = unroll(c, a, b, rounds)
        return (yield from take_step_in_v(now, to, method) if in_v else take_step_of_x0(now, to, method, locate_in_w))

    about_rounds = f"how often its {stages} stages are evaluated: the order less 1"
    rule.__annotations__["rounds"] = Annotated[int, Field(ge=1, le=order - 1, description=about_rounds)]
    rule.__doc__ = f"{about}\n\n{ROUNDS.format(NUMBERS[1 + stages * (order - 1)])}"
    return sampler(
        name, order=order, calls=lambda rounds: 1 + stages * rounds, cite=cite, family="Runge-Kutta",
        orders=lambda rounds: (rounds + 1,) * 2,
    )(rule)  # fmt: skip


def _make_rule(
    name: str, about: str, step: Callable[[Any, Any], Any], order: int, calls: int, cite: str, same: Same | tuple[()],
) -> Rule:  # fmt: skip
    """The sampler of a step, with its docstring."""

    def rule(now: Any, to: Any) -> Any:
        return (yield from step(now, to))

    rule.__doc__ = f"{about}\n\n{COSTS.format(NUMBERS[calls])}"
    return sampler(name, order=order, calls=calls, cite=cite, family="Runge-Kutta", same=same)(rule)


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
