"""Classical explicit Runge-Kutta methods in v = σ/α, each its tableau."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.tableau import explicit

ralston = explicit(
    "ralston", "Ralston's method of order 2, with the smallest bound of the error.",
    order=2, cite="A. Ralston, Math. Comp. 16 (1962), 431, table 1",
    c=(0, 2 / 3), a=((), (2 / 3,)), b=(1 / 4, 3 / 4), same=Same("heun:alpha=0.6666666666666666"),
)  # fmt: skip
ssprk3 = explicit(
    "ssprk3", "The strong-stability-preserving method of order 3, made of Euler's steps.",
    order=3, cite="C.-W. Shu and S. Osher, J. Comput. Phys. 77 (1988), 439, eq. 2.18",
    c=(0, 1, 1 / 2), a=((), (1,), (1 / 4, 1 / 4)), b=(1 / 6, 1 / 6, 2 / 3),
)  # fmt: skip
rk4 = explicit(
    "rk4", "The classical Runge-Kutta method of order 4.",
    order=4, cite="W. Kutta, Z. Math. Phys. 46 (1901), 435",
    c=(0, 1 / 2, 1 / 2, 1), a=((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
)  # fmt: skip
