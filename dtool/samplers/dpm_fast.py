"""DPM-Solver within a budget of network calls: single steps of order 3 or 2 whose stages are the levels of the grid."""

from typing import Annotated, Any, Literal

from pydantic import Field

from dtool.samplers.engines.options import Weights
from dtool.samplers.engines.runge_kutta import StageBasis, explicit_step, is_end_step, kernel_mean
from dtool.samplers.rule import sampler

LastOrder = Annotated[Literal["never", "last"], Field(description="take the last step at order 1")]
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
def dpm_fast(now, to, *, order: Group = 3, weights: Weights = "exact", lower_order_final: LastOrder = "never"):
    """DPM-Solver-fast: three steps of the grid are one of DPM-Solver-3, so that n steps cost exactly n network calls.

    One network call per step. The first step of a group is of order 1, the second of order 2, and the third, begun
    again from the x at the group's start, of order 3 where the three are about even in λ: the first two are its stages.
    What is left at the end, when n is no multiple of the group, stays of order 1 or 2, and so does the step to σ = 0.
    """
    return _grouped_step(now, to, order, weights, "eps", lower_order_final)


@sampler(
    "dpmpp-singlestep",
    order=2,
    startup_order=1,
    cite="arXiv:2211.01095, algorithm 1",
    family="Runge-Kutta",
    corrects=True,
    orders=lambda order, **_: (order, 1),
)
def dpmpp_singlestep(now, to, *, order: Group = 2, weights: Weights = "half", lower_order_final: LastOrder = "never"):
    """DPM-Solver++ single-step within a budget: two steps of the grid are one of DPM-Solver++(2S), three one of (3S).

    One network call per step, so n of them for n steps, which diffusers' single-step class does too. The last step of a
    group begins again from the x at the group's start, and the others are its stages. What is left at the end, when n
    is no multiple of the group, is of lower order, and so is the step to σ = 0.
    """
    return _grouped_step(now, to, order, weights, "x0", lower_order_final)


def _grouped_step(now: Any, to: Any, order: int, weights: str, of: StageBasis, lower_order_final: str) -> Any:
    """A step from the first node of the group, `now` being the newest of its stages.

    Groups are counted from the beginning of the whole grid, so that a run that begins late has the groups of a whole
    one, the first of them without its beginning.
    """
    last = now.before
    place = 0 if last is None or last.alpha == 0 else min(now.index % order, last.kept["place"] + 1)
    now.keep(place=place)
    if place == 0 or is_end_step(now, to) or (lower_order_final == "last" and now.left == 0):
        return explicit_step(now, to)
    first = last if place == 1 else last.before
    h = to.lam - first.lam
    share = 0.5 if weights == "half" and place == 1 else kernel_mean(h if of == "eps" else -h)
    return explicit_step(first, to, (share * h / (now.lam - first.lam), now), of=of)
