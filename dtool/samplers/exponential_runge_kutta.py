"""Exponential Runge-Kutta methods for x0 in λ, each its tableau of φ functions."""

from math import exp

from dtool.samplers.claims import Breaks
from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_between
from dtool.samplers.engines.tableau import exponential, make_rule

HALF = (0, 1 / 2, 1 / 2, 1)


def _weigh_ends(φ):
    """b of Cox and Matthews' and Krogstad's methods: Simpson's rule, exponential."""
    mid = 2 * φ(2, 1) - 4 * φ(3, 1)
    return φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), mid, mid, 4 * φ(3, 1) - φ(2, 1)


def _refine(φ):
    second, third = 1 / 2, 1
    γ = (3 * third**3 - 2 * third) / (second * (2 - 3 * second))
    inner = γ * second * φ(2, second) + third**2 / second * φ(2, third)
    last = φ(2, 1) / (γ * second + third)
    rows = ((), (second * φ(1, second),), (third * φ(1, third) - inner, inner))
    return rows, (φ(1, 1) - (1 + γ) * last, γ * last, last)


def _refine_five(φ):
    both = φ(2, 1 / 2) / 2 - φ(3, 1) + φ(2, 1) / 4 - φ(3, 1 / 2) / 2
    end = φ(2, 1 / 2) / 4 - both
    rows = (
        (), (φ(1, 1 / 2) / 2,), (φ(1, 1 / 2) / 2 - φ(2, 1 / 2), φ(2, 1 / 2)),
        (φ(1, 1) - 2 * φ(2, 1), φ(2, 1), φ(2, 1)), (φ(1, 1 / 2) / 2 - 2 * both - end, both, both, end),
    )  # fmt: skip
    return rows, (
        φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), 0, 0, 4 * φ(3, 1) - φ(2, 1), 4 * φ(2, 1) - 8 * φ(3, 1),
    )  # fmt: skip


res_3s = exponential(
    "res-3s", "The refined exponential solver with three stages, of order 3; three network calls per step.",
    order=3, cite="arXiv:2308.02157, algorithm 2 with three stages", c=(0, 1 / 2, 1), weights=_refine,
)  # fmt: skip
res_5s = exponential(
    "res-5s", "The exponential method of stiff order 4 with five stages; five network calls per step.",
    order=4, cite="M. Hochbruck and A. Ostermann, SIAM J. Numer. Anal. 43 (2005), 1069, eq. 5.19",
    c=(*HALF, 1 / 2), weights=_refine_five,
)  # fmt: skip
etdrk3 = exponential(
    "etdrk3", "Exponential time differencing of order 3; three network calls per step.",
    order=3, cite="S. M. Cox and P. C. Matthews, J. Comput. Phys. 176 (2002), 430, eq. 23-25", c=(0, 1 / 2, 1),
    weights=lambda φ: (
        ((), (φ(1, 1 / 2) / 2,), (-φ(1, 1), 2 * φ(1, 1))),
        (φ(1, 1) - 3 * φ(2, 1) + 4 * φ(3, 1), 4 * φ(2, 1) - 8 * φ(3, 1), 4 * φ(3, 1) - φ(2, 1)),
    ),
)  # fmt: skip
etdrk4 = exponential(
    "etdrk4", "Exponential time differencing of order 4; four network calls per step.",
    order=4, cite="S. M. Cox and P. C. Matthews, J. Comput. Phys. 176 (2002), 430, eq. 26-29", c=HALF,
    weights=lambda φ: (
        ((), (φ(1, 1 / 2) / 2,), (0, φ(1, 1 / 2) / 2), (φ(1, 1) - φ(1, 1 / 2), 0, φ(1, 1 / 2))), _weigh_ends(φ)
    ),
)  # fmt: skip
krogstad = exponential(
    "krogstad", "Krogstad's variant of etdrk4, whose stages are of higher stiff order; four network calls per step.",
    order=4, cite="S. Krogstad, J. Comput. Phys. 203 (2005), 72, eq. 51", c=HALF,
    weights=lambda φ: (
        (
            (), (φ(1, 1 / 2) / 2,), (φ(1, 1 / 2) / 2 - φ(2, 1 / 2), φ(2, 1 / 2)),
            (φ(1, 1) - 2 * φ(2, 1), 0, 2 * φ(2, 1)),
        ),
        _weigh_ends(φ),
    ),
)  # fmt: skip


def _lawson(now, to):
    """RK4 for d(x/σ)/dλ = e^λ·x0, whose right side alone is integrated."""
    if is_end_step(now, to):
        return explicit_step(now, to)
    h, slopes = to.lam - now.lam, [now.x0]

    def reach(at, *weights):
        parts = zip(weights, (0, 1 / 2, 1 / 2, 1), slopes, strict=False)
        return at.sigma * (now.x / now.sigma + sum(h * w * exp(now.lam + c * h) * m for w, c, m in parts if w))

    mid = point_between(now, to, 1 / 2)
    slopes.append((yield reach(mid, 1 / 2), mid).x0)
    slopes.append((yield reach(mid, 0, 1 / 2), mid).x0)
    slopes.append((yield reach(to, 0, 0, 1), to).x0)
    return reach(to, 1 / 6, 1 / 3, 1 / 3, 1 / 6)


lawson4 = make_rule(
    "lawson4", "Lawson's method, rk4 with an integrating factor: x/σ in λ, order 4; four network calls per step. An image "
    "that stays the same is not integrated exactly, so it wants steps that are short in λ.",
    _lawson, 4, 4, "J. D. Lawson, SIAM J. Numer. Anal. 4 (1967), 372",
    breaks=Breaks("its quadrature integrates e^λ by Simpson's rule, not exactly"),
)  # fmt: skip
