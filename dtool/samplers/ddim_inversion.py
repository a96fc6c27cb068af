"""Inversion: from an image to the noise that it would come from, by DDIM and by a multistep method."""

from typing import Annotated, Literal

from pydantic import Field

from dtool.samplers.engines.adams import constant_eps_weight, lam_weights, noise_step, select_nodes
from dtool.samplers.engines.options import UseClipped
from dtool.samplers.rule import sampler

Told = Annotated[
    Literal["own", "next"], Field(description="which level's time the network is told: that of x, or where x goes")
]


@sampler(
    "ddim-inversion",
    order=1,
    calls=lambda rounds, **_: 1 + rounds,
    basis="eps",
    cite="arXiv:2010.02502, eq. 14 backwards in time; rounds: arXiv:2309.04907",
    family="one step",
    inverse=True,
    tells_next=lambda told, **_: told == "next",
)
def ddim_inversion(
    now,
    to,
    *,
    rounds: Annotated[int, Field(ge=0, le=20, description="more network calls per step, each solving it better")] = 0,
    told: Told = "own",  # noqa: ARG001 - the compiler acts on it: `tells_next`
    use_clipped: UseClipped = True,
):
    """DDIM's deterministic step upwards, from a user's own image to noise: give `dtool.sample(net, plan, x=image)`.

    1 + rounds network calls per step, order 1. The grid is that of `ddim` walked backwards, so that ddim on the same
    grid leads back. It should hold ε at the end of each step, where ddim will ask for it; not known yet, that at its
    beginning is taken instead, and the way back misses by order 1. Each round asks for it at the end just found: a
    fixed-point iteration, by which the way back becomes exact. told=next tells the network the time at which ddim will
    ask, of an x that is not there yet: what diffusers does. The image itself has no noise level of the network's,
    and is shown at the first; an x0 network says nothing of ε there, and wants end=0. Clipped, if it is asked for, is
    the predicted image, and ε follows from it or not (use_clipped), as in ddim.
    """
    start = to.alpha / now.alpha * now.x
    step = to.sigma - now.sigma * to.alpha / now.alpha  # α'·(v' - v)
    guess = start + step * now.eps if use_clipped else to.alpha * now.x0 + to.sigma * now.raw_eps
    for _ in range(rounds):
        end = yield guess, to
        guess = start + step * end.eps
    return guess


@sampler(
    "dpm-solver-inversion",
    order=2,
    startup_order=1,
    orders=lambda order, **_: (order, 1),
    basis="eps",
    cite="arXiv:2206.00927, eq. 3.4 backwards in time, with ε's derivatives from earlier steps",
    family="multistep",
    inverse=True,
    tells_next=lambda told, **_: told == "next",
)
def dpm_solver_inversion(
    now,
    to,
    *,
    order: Annotated[int, Field(ge=1, le=3, description="values of ε, that of the step included")] = 2,
    told: Told = "own",  # noqa: ARG001 - the compiler acts on it: `tells_next`
):
    """DPM-Solver, multistep, upwards: ε as a polynomial in λ through its last values, integrated exactly.

    One network call per step, order p with p values of ε once the history is long enough; from its own start, of order
    1 and then higher, the whole is of order 2. `dpm-solver` on the same grid leads back, and misses by order 2 where
    that of ddim-inversion and ddim is 1. The step from the image itself, where λ is infinite, is DDIM's, and so are the
    one after it and one to α = 0.
    """
    if now.sigma == 0 or to.alpha == 0:
        return noise_step(now, to, [now], [constant_eps_weight(now, to)])
    nodes = [node for node in select_nodes(now, to, order) if node.sigma > 0]
    weights = lam_weights(nodes, now, to) if len(nodes) > 1 else [constant_eps_weight(now, to)]
    return noise_step(now, to, nodes, weights)
