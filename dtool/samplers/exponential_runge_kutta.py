"""Exponential Runge-Kutta methods for x0 in λ, each its tableau of φ functions."""

from dtool.samplers.engines.tableau import Phi, Weights, exponential


def _refine(φ: Phi) -> Weights:
    second, third = 1 / 2, 1
    γ = (3 * third**3 - 2 * third) / (second * (2 - 3 * second))
    inner = γ * second * φ(2, second) + third**2 / second * φ(2, third)
    last = φ(2, 1) / (γ * second + third)
    rows = ((), (second * φ(1, second),), (third * φ(1, third) - inner, inner))
    return rows, (φ(1, 1) - (1 + γ) * last, γ * last, last)


def _refine_five(φ: Phi) -> Weights:
    both = φ(2, 1 / 2) / 2 - φ(3, 1) + φ(2, 1) / 4 - φ(3, 1 / 2) / 2
    end = φ(2, 1 / 2) / 4 - both
    rows = (
        (), (φ(1, 1 / 2) / 2,), (φ(1, 1 / 2) / 2 - φ(2, 1 / 2), φ(2, 1 / 2)),
        (φ(1, 1) - 2 * φ(2, 1), φ(2, 1), φ(2, 1)), (φ(1, 1 / 2) / 2 - 2 * both - end, both, both, end),
    )  # fmt: skip
    return rows, (
        φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), 0, 0, 4 * φ(3, 1) - φ(2, 1), 4 * φ(2, 1) - 8 * φ(3, 1),
    )  # fmt: skip


def _refine_six(φ: Phi) -> Weights:
    def interpolate(c: float) -> tuple[float, ...]:
        """x0 as a parabola through the start and the stages at 1/2 and 1/3."""
        third, fourth = 24 * c**3 * φ(3, c) - 4 * c**2 * φ(2, c), 9 * c**2 * φ(2, c) - 36 * c**3 * φ(3, c)
        return c * φ(1, c) - third - fourth, 0, third, fourth

    half, part = φ(2, 1 / 2) / 2, 2 / 9 * φ(2, 1 / 3)
    rows = (
        (), (φ(1, 1 / 2) / 2,), (φ(1, 1 / 2) / 2 - half, half), (φ(1, 1 / 3) / 3 - part, part, 0),
        interpolate(1 / 3), (*interpolate(5 / 6), 0),
    )  # fmt: skip
    fifth, sixth = 5 * φ(2, 1) - 12 * φ(3, 1), 4.8 * φ(3, 1) - 0.8 * φ(2, 1)
    return rows, (φ(1, 1) - fifth - sixth, 0, 0, 0, fifth, sixth)


res_3s = exponential(
    "res-3s", "The refined exponential solver with three stages, of order 3.",
    order=3, cite="arXiv:2308.02157, algorithm 2 with three stages", c=(0, 1 / 2, 1), weights=_refine,
)  # fmt: skip
res_5s = exponential(
    "res-5s", "The exponential method of stiff order 4 with five stages.",
    order=4, cite="M. Hochbruck and A. Ostermann, SIAM J. Numer. Anal. 43 (2005), 1069, eq. 5.19",
    c=(0, 1 / 2, 1 / 2, 1, 1 / 2), weights=_refine_five,
)  # fmt: skip
res_6s = exponential(
    "res-6s", "The exponential method of stiff order 4 with six stages, whose last two could run side by side.",
    order=4, cite="V. T. Luan, BIT Numer. Math. 61 (2021), 535, expRK4s6",
    c=(0, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 5 / 6), weights=_refine_six,
)  # fmt: skip
etdrk3 = exponential(
    "etdrk3", "Exponential time differencing of order 3.",
    order=3, cite="S. M. Cox and P. C. Matthews, J. Comput. Phys. 176 (2002), 430, eq. 23-25", c=(0, 1 / 2, 1),
    weights=lambda φ: (
        ((), (φ(1, 1 / 2) / 2,), (-φ(1, 1), 2 * φ(1, 1))),
        (φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), 4 * φ(2, 1) - 8 * φ(3, 1), 4 * φ(3, 1) - φ(2, 1)),
    ),
)  # fmt: skip
etdrk4 = exponential(
    "etdrk4", "Exponential time differencing of order 4.",
    order=4, cite="S. M. Cox and P. C. Matthews, J. Comput. Phys. 176 (2002), 430, eq. 26-29", c=(0, 1 / 2, 1 / 2, 1),
    weights=lambda φ: (
        ((), (φ(1, 1 / 2) / 2,), (0, φ(1, 1 / 2) / 2), (φ(1, 1) - φ(1, 1 / 2), 0, φ(1, 1 / 2))),
        (φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), *(2 * φ(2, 1) - 4 * φ(3, 1),) * 2, 4 * φ(3, 1) - φ(2, 1)),
    ),
)  # fmt: skip
krogstad = exponential(
    "krogstad", "Krogstad's exponential method of order 4, ETDRK4-B.",
    order=4, cite="S. Krogstad, J. Comput. Phys. 203 (2005), 72, eq. 51", c=(0, 1 / 2, 1 / 2, 1),
    weights=lambda φ: (
        ((), (φ(1, 1 / 2) / 2,), (φ(1, 1 / 2) / 2 - φ(2, 1 / 2), φ(2, 1 / 2)), (φ(1, 1) - 2 * φ(2, 1), 0, 2 * φ(2, 1))),
        (φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), *(2 * φ(2, 1) - 4 * φ(3, 1),) * 2, 4 * φ(3, 1) - φ(2, 1)),
    ),
)  # fmt: skip
