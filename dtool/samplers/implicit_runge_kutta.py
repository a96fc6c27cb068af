"""Implicit Runge-Kutta methods in v = σ/α, their equations solved by a fixed number of rounds.

Methods with a stage at the end of the step (Radau, Lobatto) are not here: in v such rounds multiply an error by v/v_to.
"""

from math import sqrt
from typing import Annotated

from pydantic import Field

from dtool.samplers.engines.tableau import take_step, unroll
from dtool.samplers.rule import sampler

Rounds = Annotated[int, Field(ge=1, le=3, description="how often both stages are evaluated: the order less 1")]
_R3 = sqrt(3)
_NODES = (1 / 2 - _R3 / 6, 1 / 2 + _R3 / 6)
_WEIGHTS = ((1 / 4, 1 / 4 - _R3 / 6), (1 / 4 + _R3 / 6, 1 / 4))


@sampler(
    "gauss-legendre",
    order=4,
    calls=lambda rounds: 1 + 2 * rounds,
    cite="J. C. Butcher, Math. Comp. 18 (1964), 50, table 1",
    family="Runge-Kutta",
    orders=lambda rounds: (rounds + 1,) * 2,
)
def gauss_legendre(now, to, *, rounds: Rounds = 3):
    """Gauss-Legendre collocation with two stages, of order 4 where there are three rounds.

    Each round evaluates both stages with the predictions of the round before; the first begins with Euler's method.
    One call more at the start of the step, and one call in all where the step is to σ = 0 or from α = 0. More rounds
    would gain no order, and where σ/α falls far in one step each of them multiplies an error.
    """
    return (yield from take_step(now, to, unroll(_NODES, _WEIGHTS, (1 / 2, 1 / 2), rounds)))
