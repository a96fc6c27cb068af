"""DEIS: diffusion exponential integrator sampler, Adams-Bashforth form."""

from collections.abc import Sequence
from math import exp, log1p, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import (
    lagrange_weights,
    lam_weights,
    limit_order,
    noise_step,
    select_eps_nodes,
    select_nodes,
    v_weights,
)
from dtool.samplers.engines.options import FULL, LastOrders
from dtool.samplers.rule import sampler

BETA_MIN, BETA_GROWTH = 0.1, 19.9  # of the variance-preserving SDE whose time is "t"
# Gauss-Legendre on [0, 1], eight places: exact to degree 15.
GAUSS = tuple(
    ((1 + sign * x) / 2, w / 2)
    for x, w in (
        (0.1834346424956498, 0.3626837833783620),
        (0.5255324099163290, 0.3137066458778873),
        (0.7966664774136267, 0.2223810344533745),
        (0.9602898564975363, 0.1012285362903763),
    )
    for sign in (-1, 1)
)


@sampler(
    "deis",
    order=3,
    startup_order=1,
    orders=lambda order, **_: (order, 1),
    basis="eps",
    cite="arXiv:2204.13902, eq. 14-15",
    family="multistep",
    same=(
        Same("lms", when={"variable": "rho", "order": 4, **FULL}),
        Same("dpm-solver", when={"variable": "logrho", "order": 3, **FULL}),
        Same("ddim", when={"order": 1}),
    ),
)
def deis(
    now,
    to,
    *,
    variable: Annotated[
        Literal["t", "rho", "logrho"], Field(description="ε is a polynomial in this: time, ρ = σ/α, or log ρ")
    ] = "t",
    order: Annotated[int, Field(ge=1, le=4, description="values of ε, that of the step included")] = 3,
    lower_order_final: LastOrders = "never",
):
    """DEIS: ε as a polynomial in time through its last values, integrated against dρ, ρ = σ/α.

    One network call per step, order p with p values of ε once the history is long enough; from its own start, of order
    1 and then higher, the whole is of order 2. The time t is that of the paper's variance-preserving SDE (β from 0.1
    to 20), on whatever schedule one samples: a function of ρ, so that the step needs nothing but noise levels.
    Polynomials in ρ hold at σ = 0 too; the others are of order 1 there, as all are from α = 0.
    """
    order = limit_order(now, order, lower_order_final)
    if variable == "rho":
        nodes = select_eps_nodes(now, order)
        return noise_step(now, to, nodes, v_weights(nodes, now, to))
    nodes = select_nodes(now, to, order)
    weights = lam_weights if variable == "logrho" or len(nodes) == 1 else _time_weights
    return noise_step(now, to, nodes, weights(nodes, now, to))


def _time_weights(nodes: Sequence[Any], now: Any, to: Any) -> list[float]:
    """-σ' ∫ e^{λ'-λ}·L_k(t(λ)) dλ, by quadrature: eight places for each unit of λ."""
    h = to.lam - now.lam
    panels = 1 + int(h)
    start, step = _time(now.lam), _time(to.lam) - _time(now.lam)
    moments = [0.0] * len(nodes)
    for i in range(panels):
        for place, weight in GAUSS:
            u = (i + place) / panels
            value = -to.sigma * h * weight / panels * exp((1 - u) * h)
            s = (_time(now.lam + u * h) - start) / step
            for j in range(len(nodes)):
                moments[j] += value
                value *= s
    return lagrange_weights([(_time(node.lam) - start) / step for node in nodes], moments)


def _time(lam: float) -> float:
    """The time of the variance-preserving SDE with linear β at which log(α/σ) = lam, in [0, 1] for its own levels."""
    power = log1p(exp(-2 * lam)) if lam > -300 else -2 * lam  # -log α², which is ∫ β
    return 2 * power / (sqrt(BETA_MIN**2 + 2 * BETA_GROWTH * power) + BETA_MIN)
