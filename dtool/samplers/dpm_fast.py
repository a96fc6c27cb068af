"""DPM-Solver within a budget of network calls: single steps of order 3 or 2 whose stages are the levels of the grid."""

from typing import Annotated, Any

from pydantic import Field

from dtool.samplers.engines.options import Weights
from dtool.samplers.engines.runge_kutta import StageBasis, explicit_step, is_end_step, kernel_mean
from dtool.samplers.rule import sampler

Group = Annotated[int, Field(ge=2, le=3, description="calls that make up one step of the method, and its order")]


@sampler(
    "dpm-fast",
    order=3,
    startup_order=1,
    cite="arXiv:2206.00927, algorithms 1 and 2, and its 'DPM-Solver-fast'",
    family="Runge-Kutta",
    corrects=True,
    orders=lambda order, **_: (order, 1),
)
def dpm_fast(now, to, *, order: Group = 3, weights: Weights = "exact"):
    """DPM-Solver-fast: three steps of the grid are one of DPM-Solver-3, so that n steps cost exactly n network calls.

    One network call per step. The first step of a group is of order 1, the second of order 2, and the third, begun
    again from the x at the group's start, of order 3 where the three are about even in λ: the first two are its stages.
    What is left at the end, when n is no multiple of the group, stays of order 1 or 2, and so does the step to σ = 0.
    """
    return _grouped_step(now, to, order, weights, "eps")


@sampler(
    "dpmpp-singlestep",
    order=2,
    startup_order=1,
    cite="arXiv:2211.01095, algorithm 1",
    family="Runge-Kutta",
    corrects=True,
    orders=lambda order, **_: (order, 1),
)
def dpmpp_singlestep(now, to, *, order: Group = 2, weights: Weights = "half"):
    """DPM-Solver++ single-step within a budget: two steps of the grid are one of DPM-Solver++(2S), three one of (3S).

    One network call per step, so n of them for n steps, which diffusers' single-step class does too. The last step of a
    group begins again from the x at the group's start, and the others are its stages. What is left at the end, when n
    is no multiple of the group, is of lower order, and so is the step to σ = 0.
    """
    return _grouped_step(now, to, order, weights, "x0")


def _grouped_step(now: Any, to: Any, order: int, weights: str, of: StageBasis) -> Any:
    """A step from the first node of the group, `now` being the newest of its stages."""
    last = now.before
    place = 0 if last is None or last.alpha == 0 else (last.kept["place"] + 1) % order
    now.keep(place=place)
    if place == 0 or is_end_step(now, to):
        return explicit_step(now, to)
    first = last if place == 1 else last.before
    h = to.lam - first.lam
    share = 0.5 if weights == "half" and place == 1 else kernel_mean(h if of == "eps" else -h)
    return explicit_step(first, to, (share * h / (now.lam - first.lam), now), of=of)
