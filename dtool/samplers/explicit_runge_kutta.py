"""Classical explicit Runge-Kutta methods in v = σ/α, each its tableau."""

from dtool.samplers.claims import Same
from dtool.samplers.engines.tableau import explicit

ralston = explicit(
    "ralston", "Ralston's method of order 2, with the smallest bound of the error.",
    order=2, cite="A. Ralston, Math. Comp. 16 (1962), 431, table 1",
    c=(0, 2 / 3), a=((), (2 / 3,)), b=(1 / 4, 3 / 4), same=Same("heun:alpha=0.6666666666666666"),
)  # fmt: skip
heun3 = explicit(
    "heun3", "Heun's method of order 3.",
    order=3, cite="K. Heun, Z. Math. Phys. 45 (1900), 23",
    c=(0, 1 / 3, 2 / 3), a=((), (1 / 3,), (0, 2 / 3)), b=(1 / 4, 0, 3 / 4),
)  # fmt: skip
kutta3 = explicit(
    "kutta3", "Kutta's method of order 3, which becomes Simpson's rule.",
    order=3, cite="W. Kutta, Z. Math. Phys. 46 (1901), 435",
    c=(0, 1 / 2, 1), a=((), (1 / 2,), (-1, 2)), b=(1 / 6, 2 / 3, 1 / 6),
)  # fmt: skip
bogacki_shampine = explicit(
    "bogacki-shampine", "Bogacki and Shampine's method of order 3, Ralston's with the smallest bound of the error.",
    order=3, cite="P. Bogacki and L. F. Shampine, Appl. Math. Lett. 2 (1989), 321",
    c=(0, 1 / 2, 3 / 4), a=((), (1 / 2,), (0, 3 / 4)), b=(2 / 9, 1 / 3, 4 / 9),
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
rk4_38 = explicit(
    "rk4-38", "Kutta's 3/8 rule, of order 4.",
    order=4, cite="W. Kutta, Z. Math. Phys. 46 (1901), 435",
    c=(0, 1 / 3, 2 / 3, 1), a=((), (1 / 3,), (-1 / 3, 1), (1, -1, 1)), b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
)  # fmt: skip
dormand_prince = explicit(
    "dormand-prince", "Dormand and Prince's method of order 5, DOPRI5 with fixed steps.",
    order=5, cite="J. R. Dormand and P. J. Prince, J. Comput. Appl. Math. 6 (1980), 19, table 2",
    c=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1), b=(35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84), a=(
        (), (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
)  # fmt: skip
tsitouras = explicit(
    "tsitouras", "Tsitouras' method of order 5, Tsit5 with fixed steps.",
    order=5, cite="C. Tsitouras, Comput. Math. Appl. 62 (2011), 770, table 1",
    c=(0, 0.161, 0.327, 0.9, 0.9800255409045097, 1), a=(
        (), (0.161,), (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383)), b=(
        0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
)  # fmt: skip
