"""DDIM inversion: from an image to the noise that it would come from."""

from typing import Annotated

from pydantic import Field

from dtool.samplers.rule import sampler


@sampler(
    "ddim-inversion",
    order=1,
    calls=lambda rounds: 1 + rounds,
    basis="eps",
    cite="arXiv:2010.02502, eq. 14 backwards in time; rounds: arXiv:2309.04907",
    family="one step",
    inverse=True,
)
def ddim_inversion(
    now,
    to,
    *,
    rounds: Annotated[int, Field(ge=0, le=20, description="more network calls per step, each solving it better")] = 0,
):
    """DDIM's deterministic step upwards, from a user's own image to noise: give `dtool.sample(net, plan, x=image)`.

    1 + rounds network calls per step, order 1. The grid is that of `ddim` walked backwards, so that ddim on the same
    grid leads back. It should hold ε at the end of each step, where ddim will ask for it; not known yet, that at its
    beginning is taken instead, and the way back misses by order 1. Each round asks for it at the end just found: a
    fixed-point iteration, by which the way back becomes exact. The image itself has no noise level of the network's,
    and is shown at the first; an x0 network says nothing of ε there, and wants end=0.
    """
    start = to.alpha / now.alpha * now.x
    step = to.sigma - now.sigma * to.alpha / now.alpha  # α'·(v' - v)
    guess = start + step * now.eps
    for _ in range(rounds):
        end = yield guess, to
        guess = start + step * end.eps
    return guess
