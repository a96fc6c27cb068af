"""Implicit Runge-Kutta methods in v = σ/α, their equations solved by a fixed number of rounds.

Methods with a stage at the end of the step (Radau, Lobatto) are not here: in v such rounds multiply an error by v/v_to.
"""

from math import sqrt
from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.engines.tableau import take_step, unroll
from dtool.samplers.rule import sampler

Rounds = Annotated[int, Field(ge=1, le=8, description="how often all stages are evaluated: order min(own, rounds + 1)")]
Stages = Literal["2", "3"]
_R3, _R15 = sqrt(3), sqrt(15)
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


@sampler(
    "gauss-legendre",
    order=4,
    calls=lambda stages, rounds: 1 + int(stages) * rounds,
    cite="J. C. Butcher, Math. Comp. 18 (1964), 50, table 1",
    family="Runge-Kutta",
    orders=lambda stages, rounds: (min(2 * int(stages), rounds + 1),) * 2,
)
def gauss_legendre(now, to, *, stages: Stages = "2", rounds: Rounds = 3):
    """Gauss-Legendre collocation: order twice the stages, where the rounds are enough.

    Each round evaluates all stages with the predictions of the round before; the first begins with Euler's method. One
    call more at the start of the step, and one call in all where the step is to σ = 0 or from α = 0.
    """
    return (yield from take_step(now, to, unroll(*GAUSS[int(stages)], rounds)))
