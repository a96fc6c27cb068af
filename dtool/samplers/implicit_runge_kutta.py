"""Implicit Runge-Kutta methods, their equations solved by a fixed number of rounds, each its tableau.

Lobatto's IIIC is not here: its first stage asks the network again at the start of the step, in every round, and what
that buys, stability for stiff equations, belongs to equations that are solved.
"""

from math import sqrt

from dtool.samplers.engines.tableau import implicit

_R3 = sqrt(3)

gauss_legendre = implicit(
    "gauss-legendre", "Gauss-Legendre collocation with two stages, ε in v, of order 4 where there are three rounds.",
    order=4, cite="J. C. Butcher, Math. Comp. 18 (1964), 50, table 1", in_v=True,
    c=(1 / 2 - _R3 / 6, 1 / 2 + _R3 / 6), a=((1 / 4, 1 / 4 - _R3 / 6), (1 / 4 + _R3 / 6, 1 / 4)), b=(1 / 2, 1 / 2),
)  # fmt: skip
radau_iia = implicit(
    "radau-iia", "Radau IIA with two stages, x0 in w = α/σ, of order 3 where there are two rounds.",
    order=3, cite="B. L. Ehle, BIT 8 (1968), 276, for the scheme of O. Axelsson, BIT 4 (1964), 69",
    c=(1 / 3, 1), a=((5 / 12, -1 / 12), (3 / 4, 1 / 4)), b=(3 / 4, 1 / 4),
)  # fmt: skip
lobatto_iiia = implicit(
    "lobatto-iiia", "Lobatto IIIA with three stages, x0 in w = α/σ, of order 4 where there are three rounds.",
    order=4, cite="B. L. Ehle, BIT 8 (1968), 276",
    c=(0, 1 / 2, 1), a=((0, 0, 0), (5 / 24, 1 / 3, -1 / 24), (1 / 6, 2 / 3, 1 / 6)), b=(1 / 6, 2 / 3, 1 / 6),
)  # fmt: skip
