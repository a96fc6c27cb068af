"""Extended reverse-time SDE solvers."""

from math import exp, inf, log
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.one_step import noise_above, one_step
from dtool.samplers.rule import sampler

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


def _orders(order: int, phi: str) -> tuple[int, int]:
    return order if phi == "ode" else min(order, 2), 1


@sampler(
    "er-sde",
    order=1,
    cite="arXiv:2309.06169, ER-SDE-Solver-1 to 3",
    family="stochastic",
    same=(Same("ddim", when={"order": 1, "phi": "ode"}), Same("ddpm", when={"order": 1, "phi": "sde"})),
    orders=_orders,
)
def er_sde(
    now,
    to,
    z,
    *,
    order: Annotated[int, Field(ge=1, le=3, description="predictions used, the newest included")] = 3,
    phi: Annotated[
        Literal["er", "sde", "ode"],
        Field(description="how much noise: φ(v) = v(e^{v^0.3} + 10), v² (the reverse SDE) or v (none)"),
    ] = "er",
):
    """ER-SDE: x/α is carried by r = φ(v')/φ(v), v = σ/α, and x0 is integrated exactly against φ as a polynomial in v.

    One network call per step; of the order chosen with phi=ode, where there is no noise, and of weak order 2 at most
    with it, however small the published φ makes what is missing. The first steps have fewer predictions; a step to
    σ = 0 and one from α = 0 are of order 1. The weights are those of the polynomial through the predictions: the
    authors' third order leaves out a part of its first derivative.
    """
    if to.sigma == 0 or now.alpha == 0:
        return one_step(now, to, z, 0.0 if phi == "ode" else to.sigma)
    ratio = exp(_log_phi(to.v, phi) - _log_phi(now.v, phi))
    x = to.alpha * (ratio / now.alpha * now.x + (1 - ratio) * now.x0)
    nodes = _history(now, order)
    for k in range(1, len(nodes)):
        x = x + to.alpha * _moment(now, to, phi, [node.v for node in nodes[:k]]) * _divided_difference(nodes[: k + 1])
    return x if phi == "ode" else x + noise_above(to, ratio * now.v) * z


def _log_phi(v, phi: str):
    """log φ, which is finite where φ overflows."""
    if phi == "er":
        return np.log(v) + np.logaddexp(v**0.3, log(10))
    return (2 if phi == "sde" else 1) * np.log(v)


def _history(now, order: int) -> list[Any]:
    """`now` and the nodes before it that have a finite v, `order` of them at most, newest first."""
    nodes = [now]
    while len(nodes) < order and (last := nodes[-1].before) is not None and last.v < inf:
        nodes.append(last)
    return nodes


def _divided_difference(nodes: list[Any]):
    """Newton's divided difference of x0 over v."""
    if len(nodes) == 1:
        return nodes[0].x0
    return (_divided_difference(nodes[:-1]) - _divided_difference(nodes[1:])) / (nodes[0].v - nodes[-1].v)


def _moment(now, to, phi: str, places: list[float]) -> float:
    """φ(v')∫ φ'/φ²·Π (v - v_j) dv from v' to v: by parts, and then by Gauss and Legendre in log v."""
    high, low = log(now.v), log(to.v)
    v = np.exp(low + (high - low) * (_NODES + 1) / 2)
    # Π is zero at now.v = places[0], so the boundary term is its value at v' alone.
    slope = sum(np.prod([v - p for j, p in enumerate(places) if j != i], axis=0) for i in range(len(places)))
    inner = np.exp(_log_phi(to.v, phi) - _log_phi(v, phi)) * slope * v
    boundary = float(np.prod([to.v - p for p in places]))
    return boundary + float((inner * _WEIGHTS).sum()) * (high - low) / 2
