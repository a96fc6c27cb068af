"""PNDM: the pseudo linear multistep method, with its own Runge-Kutta start and as latent diffusion begins it."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from dtool.samplers.engines.adams import constant_eps_weight, equal_spacing_step
from dtool.samplers.engines.runge_kutta import is_end_step, point_between
from dtool.samplers.rule import sampler

MAX_V_RATIO = (
    1000  # Heun's correction is a difference of ε times v; past this factor between the v, float32 has lost it
)
MAX_STAGED_V_RATIO = 100  # four stages that build on each other lose more


@sampler(
    "plms",
    order=2,
    startup_order=1,
    startup_calls=2,
    basis="eps",
    cite="arXiv:2202.09778, eq. 9-12",
    family="multistep",
)
def plms(now, to):
    """PLMS: Adams and Bashforth's classical weights on up to four values of ε, begun with a step of Heun's method.

    One network call per step, and one more in the first. Order 4 where the steps are equal in v = σ/α; on a grid that
    is graded smoothly, as all usual spacings are, the order is 2, and on an irregular one 1. A first step from α = 0,
    to σ = 0, or over more than a thousandfold of v, is Euler's.
    """
    if now.before is not None or _is_long(now, to, MAX_V_RATIO):
        return equal_spacing_step(now, to, 4)
    guess = to.alpha / now.alpha * now.x + constant_eps_weight(now, to) * now.eps
    mid = yield guess, to
    return guess + constant_eps_weight(now, to) * (mid.eps - now.eps) / 2


@sampler(
    "pndm",
    order=2,
    startup_calls=4,
    startup_steps=3,
    basis="eps",
    cite="arXiv:2202.09778, eq. 9-13",
    family="multistep",
)
def pndm(now, to):
    """PNDM: Adams and Bashforth's weights on four values of ε, begun with three steps of Runge and Kutta's method.

    One network call per step, and four in each of the first three. Order 4 where the steps are equal in v = σ/α and the
    middle of a step is its middle in v; else 2. That middle is half-way in the schedule's time, in λ where there is
    none. A first step from α = 0, to σ = 0, or over more than a hundredfold of v, is Euler's.
    """
    started = now.before is not None and now.before.before is not None and now.before.before.before is not None
    if started or _is_long(now, to, MAX_STAGED_V_RATIO):
        return equal_spacing_step(now, to, 4)
    return (yield from _start(now, to, _find_middle(now, to)))


def _is_long(now: Any, to: Any, ratio: float) -> bool:
    """Whether a step of several calls would lose its digits, being of more than this ratio in v, or have no meaning."""
    return is_end_step(now, to) or bool(now.v > ratio * to.v)


def _find_middle(now: Any, to: Any) -> Any:
    """The level half-way in time; in λ, if it has none between those of both ends."""
    schedule, t = now.point.schedule, (now.t + to.t) / 2
    if schedule is not None and 0 <= t <= schedule.T - 1:
        alpha, sigma = schedule.level([t])
        middle = replace(now.point, alpha=float(alpha[0]), sigma=float(sigma[0]), t=t)
        if now.lam < middle.lam < to.lam:
            return middle
    return point_between(now, to, 0.5)


def _start(now: Any, to: Any, middle: Any) -> Generator[tuple[Any, Any], Any, Any]:
    """A step of the classical Runge-Kutta method in v, each stage by way of eq. 11 from the step's beginning."""

    def go(at: Any, eps: Any) -> Any:
        return at.alpha / now.alpha * now.x + constant_eps_weight(now, at) * eps

    one = yield go(middle, now.eps), middle
    two = yield go(middle, one.eps), middle
    end = yield go(to, two.eps), to
    return go(to, (now.eps + 2 * one.eps + 2 * two.eps + end.eps) / 6)
