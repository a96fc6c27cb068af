"""DPM-Solver++, multistep of order 3, for the ODE and for the reverse SDE."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from dtool.samplers.claims import Same
from dtool.samplers.engines.adams import (
    data_step,
    data_weights,
    exponential_moments,
    lagrange_weights,
    limit_order,
    select_nodes,
)
from dtool.samplers.engines.options import FULL, LastOrders, SdeStrength
from dtool.samplers.rule import sampler

Variant = Annotated[
    Literal["corrected", "published"], Field(description="the weights of order 3, or those of the authors' code")
]


def _weights(nodes: Sequence[Any], now: Any, to: Any, eta: float, variant: str) -> list[float]:
    if variant == "corrected" or len(nodes) < 3:
        return data_weights(nodes, now, to, eta)
    # The authors' code multiplies the second divided difference by φ3 where the integral of u² is 2·φ3.
    h = to.lam - now.lam
    mean, slope, curve = exponential_moments(-(1 + eta) * h, 3)
    scale = to.alpha * (1 + eta) * h
    return lagrange_weights([(n.lam - now.lam) / h for n in nodes], [scale * mean, scale * slope, scale * curve / 2])


def _orders(variant: str, eta: float = 0.0, **_: object) -> tuple[int, int]:
    return (3, 1) if variant == "corrected" and eta == 0 else (2, 1)


@sampler(
    "dpmpp-3m",
    order=3,
    startup_order=1,
    orders=_orders,
    cite="arXiv:2211.01095, section 4 and appendix B",
    family="multistep",
    same=Same("dpmpp-3m-sde:eta=0", when={"variant": "corrected", **FULL}),
)
def dpmpp_3m(now, to, *, variant: Variant = "corrected", lower_order_final: LastOrders = "never"):
    """DPM-Solver++(3M): x0 as a parabola in λ through its last three values.

    One network call per step, order 3 once its history is long enough; from its own start, of order 1 and then 2, the
    whole is of order 2. variant=published has the weights of the authors' code, where half of the third term is
    missing: order 2. At infinite λ, and so in the last step to σ = 0, it is of order 1.
    """
    nodes = select_nodes(now, to, limit_order(now, 3, lower_order_final))
    return data_step(now, to, nodes, _weights(nodes, now, to, 0.0, variant))


@sampler(
    "dpmpp-3m-sde",
    order=2,
    startup_order=1,
    orders=_orders,
    cite="arXiv:2211.01095, section 4 and appendix E",
    family="stochastic",
    same=(
        Same("dpmpp-3m", when={"eta": 0, **FULL}),
        Same("sa-solver:predictor=3,corrector=0", when={"variant": "corrected", "eta": 1, **FULL}),
    ),
)
def dpmpp_3m_sde(
    now, to, z, *, variant: Variant = "corrected", eta: SdeStrength = 1.0, lower_order_final: LastOrders = "never"
):
    """DPM-Solver++(3M) for the reverse SDE: the same parabola in λ, with fresh noise in every step.

    One network call per step. With noise its weak order is 2, as measured on Gaussian data, with either weights: what
    the noise of a step does to x0 is seen one call later, and costs the third order; eta=0 is dpmpp-3m. The step to
    σ = 0 is of order 1 and adds no noise.
    """
    nodes = select_nodes(now, to, limit_order(now, 3, lower_order_final))
    return data_step(now, to, nodes, _weights(nodes, now, to, eta, variant), z, eta)
