"""Steps compiled as rules, on a grid of three levels."""

from math import exp

from dtool.certify import grids
from dtool.plan import CLEAN, Point
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import sampler as rule_of

FAR, NEAR = Point(0.1, 0.99), Point(0.8, 0.6)


def compiled(step, points=(FAR, NEAR, CLEAN), **options):
    return compile_plan(rule_of("mine", order=1, **options)(step), points, prediction="x0")


def euler(now, to, eps):
    return to.alpha * (now.x - now.sigma * eps) / now.alpha + to.sigma * eps


def first(now, to):
    return to.alpha * now.x0 + to.sigma * now.eps


def edge(now, to):
    return to.sigma == 0 or now.alpha == 0


def heun(now, to, *, weight: float = 0.5):
    if edge(now, to):
        return first(now, to)
    mid = yield first(now, to), to
    return first(now, to) + (to.sigma - now.sigma * to.alpha / now.alpha) * weight * (mid.eps - now.eps)


def multistep(now, to, *, factor: float = 1.0):
    """DPM-Solver++(2M), its correction times `factor`."""
    last = now.before
    if edge(now, to) or last is None or last.alpha == 0:
        return first(now, to)
    h = to.lam - now.lam
    d = (now.x0 - last.x0) * (h / (now.lam - last.lam)) / 2
    return first(now, to) + factor * to.alpha * -(exp(-h) - 1) * d


@rule_of("rk4", order=4, calls=4, basis="eps")
def rk4(now, to):
    """The classical method of Runge and Kutta in λ, where dx̄/dλ = -v·ε."""
    h, x, middle = to.lam - now.lam, now.x / now.alpha, grids.point_at_lam((now.lam + to.lam) / 2)
    k1 = -now.v * now.eps
    first = yield middle.alpha * (x + h / 2 * k1), middle
    k2 = -first.v * first.eps
    second = yield middle.alpha * (x + h / 2 * k2), middle
    k3 = -second.v * second.eps
    third = yield to.alpha * (x + h * k3), to
    return to.alpha * (x + h / 6 * (k1 + 2 * k2 + 2 * k3 - third.v * third.eps))
