"""Implicit Runge-Kutta methods in v = σ/α, with a fixed number of rounds in place of the solution of their equations."""

from math import sqrt
from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.engines.tableau import take_step, unroll
from dtool.samplers.rule import sampler

Rounds = Annotated[int, Field(ge=1, le=8, description="how often all stages are evaluated: order min(own, rounds + 1)")]
Stages = Literal["2", "3"]
_R3, _R6, _R15 = sqrt(3), sqrt(6), sqrt(15)
GAUSS = {
    2: ((1 / 2 - _R3 / 6, 1 / 2 + _R3 / 6), ((1 / 4, 1 / 4 - _R3 / 6), (1 / 4 + _R3 / 6, 1 / 4)), (1 / 2, 1 / 2)),
    3: (
        (1 / 2 - _R15 / 10, 1 / 2, 1 / 2 + _R15 / 10),
        (
            (5 / 36, 2 / 9 - _R15 / 15, 5 / 36 - _R15 / 30),
            (5 / 36 + _R15 / 24, 2 / 9, 5 / 36 - _R15 / 24),
            (5 / 36 + _R15 / 30, 2 / 9 + _R15 / 15, 5 / 36),
        ),
        (5 / 18, 4 / 9, 5 / 18),
    ),
}
RADAU = {
    2: ((1 / 3, 1.0), ((5 / 12, -1 / 12), (3 / 4, 1 / 4)), (3 / 4, 1 / 4)),
    3: (
        ((4 - _R6) / 10, (4 + _R6) / 10, 1.0),
        (
            ((88 - 7 * _R6) / 360, (296 - 169 * _R6) / 1800, (-2 + 3 * _R6) / 225),
            ((296 + 169 * _R6) / 1800, (88 + 7 * _R6) / 360, (-2 - 3 * _R6) / 225),
            ((16 - _R6) / 36, (16 + _R6) / 36, 1 / 9),
        ),
        ((16 - _R6) / 36, (16 + _R6) / 36, 1 / 9),
    ),
}
LOBATTO = ((0.0, 1 / 2, 1.0), ((0.0, 0.0, 0.0), (5 / 24, 1 / 3, -1 / 24), (1 / 6, 2 / 3, 1 / 6)), (1 / 6, 2 / 3, 1 / 6))


def _reach(own: int, rounds: int) -> tuple[int, int]:
    return (min(own, rounds + 1),) * 2


@sampler(
    "gauss-legendre",
    order=4,
    calls=lambda stages, rounds: 1 + int(stages) * rounds,
    cite="J. C. Butcher, Math. Comp. 18 (1964), 50, table 1",
    family="Runge-Kutta",
    orders=lambda stages, rounds: _reach(2 * int(stages), rounds),
)
def gauss_legendre(now, to, *, stages: Stages = "2", rounds: Rounds = 3):
    """Gauss-Legendre collocation: order twice the stages, where the rounds are enough.

    Each round evaluates all stages with the predictions of the round before; the first begins with Euler's method. One
    call more at the start of the step, and one call in all where the step is to σ = 0 or from α = 0.
    """
    return (yield from take_step(now, to, unroll(*GAUSS[int(stages)], rounds)))


@sampler(
    "radau-iia",
    order=3,
    calls=lambda stages, rounds: 1 + int(stages) * rounds,
    cite="E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, table 5.5 and 5.6",
    family="Runge-Kutta",
    orders=lambda stages, rounds: _reach(2 * int(stages) - 1, rounds),
)
def radau_iia(now, to, *, stages: Stages = "2", rounds: Rounds = 2):
    """Radau IIA collocation, whose last stage is the end of the step: order twice the stages less one.

    Rounds as in gauss-legendre. One call more at the start of the step, and one call in all where the step is to σ = 0
    or from α = 0.
    """
    return (yield from take_step(now, to, unroll(*RADAU[int(stages)], rounds)))


@sampler(
    "lobatto-iiia",
    order=4,
    calls=lambda rounds: 1 + 2 * rounds,
    cite="E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, table 5.7",
    family="Runge-Kutta",
    orders=lambda rounds: _reach(4, rounds),
)
def lobatto_iiia(now, to, *, rounds: Rounds = 3):
    """Lobatto IIIA collocation with three stages, at both ends of the step and in its middle: order 4.

    The first stage is the start of the step, and is evaluated once. Rounds as in gauss-legendre. One call where the step
    is to σ = 0 or from α = 0.
    """
    return (yield from take_step(now, to, unroll(*LOBATTO, rounds)))
