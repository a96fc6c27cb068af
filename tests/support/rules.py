"""Sampler configurations taken from the registry, and rules of other papers that the compiler must be able to take."""

from __future__ import annotations

import re
from math import expm1, sqrt
from typing import Any

import numpy as np

from dtool.certify import CheckResult, checks
from dtool.certify.cache import choose_folder, keep_result
from dtool.certify.grids import point_at_lam
from dtool.certify.option_variants import list_variants
from dtool.plan import Point
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler as named
from dtool.samplers.rule import Rule, sampler
from tests.support.places import ROOT

CERTIFICATES = choose_folder(ROOT / ".cache" / "certificates")  # as docs/pages.py has it
LONG = ("order-local", "order-global", "order-shipped", "moments")
GAUSS = np.polynomial.legendre.leggauss(24)


def configurations() -> list[str]:
    """Every installed sampler with every notable value of each of its options, the others at their default."""
    tokens = []
    for entry in get_registry().samplers:
        if named(entry.name).inverse:  # it goes the other way: tests/samplers/test_ddim_inversion.py
            continue
        name = entry.name if entry.provider.name == "dtool" else f"{entry.provider.name}/{entry.name}"
        tokens += [name, *list_variants(name)]
    return tokens


def examined(target: str | Rule, *names: str) -> dict[str, CheckResult]:
    """The certificates of these names; those of registered samplers that take long are measured once and kept."""
    chosen = [one for one in checks(target) if one.__name__ in names]
    if isinstance(target, str) and re.fullmatch(r"(\w[\w-]*/)?[\w-]+(:[^@/]*)?", target):
        rule = named(target)
        chosen = [keep_result(one, rule, CERTIFICATES) if one.__name__ in LONG else one for one in chosen]
    return {one.__name__: one() for one in chosen}


def keeps_marginals(token: str) -> bool:
    return named(token).marginals_caveat is None


def deterministic(token: str) -> bool:
    from dtool.plan import compile as compile_plan

    return not compile_plan(named(token), (point_at_lam(-2), point_at_lam(0), point_at_lam(2))).stochastic


def dpmpp_3m(factor: float, order: int = 3, startup_order: int = 1) -> Rule:
    """DPM-Solver++(3M), arXiv:2211.01095; `factor` of the third-order term is 2, and 1 in its authors' code."""

    @sampler("dpmpp-3m", order=order, startup_order=startup_order)
    def step(now, to):
        h = to.lam - now.lam
        first = to.sigma / now.sigma * now.x - to.alpha * expm1(-h) * now.x0
        last = now.before
        if last is None or to.sigma == 0 or last.alpha == 0:
            return first
        phi2 = 1 + expm1(-h) / h
        r0 = (now.lam - last.lam) / h
        d0 = (now.x0 - last.x0) / r0
        if last.before is None or last.before.alpha == 0:
            return first + to.alpha * phi2 * d0
        r1 = (last.lam - last.before.lam) / h
        d1 = (last.x0 - last.before.x0) / r1
        phi3 = phi2 / h - 0.5
        slope, curve = d0 + r0 / (r0 + r1) * (d0 - d1), (d0 - d1) / (r0 + r1)
        return first + to.alpha * (phi2 * slope - factor * phi3 * curve)

    return step


@sampler("predictor-corrector", order=3, startup_order=1, corrects=True)
def predictor_corrector(now, to):
    """Exponential Adams of order 2 in (x0, λ), corrected to order 3 one call later: UniPC's shape."""
    last = now.before
    if last is None or last.alpha == 0:
        fixed = now.x
    else:
        nodes = [now, last] if last.before is None or last.before.alpha == 0 else [now, last, last.before]
        fixed = now.sigma / last.sigma * last.kept["fixed"] + _adams(nodes, last, now)
    now.keep(fixed=fixed)
    if to.sigma == 0 or now.alpha == 0:
        return to.alpha * now.x0 + to.sigma * now.eps
    if to.lam == now.lam:  # a step of no length, which only corrects what came before
        return to.sigma / now.sigma * fixed
    nodes = [now] if last is None or last.alpha == 0 else [now, last]
    return to.sigma / now.sigma * fixed + _adams(nodes, now, to)


def _adams(nodes, start, end):
    """α_end ∫ e^{λ-λ_end} p(λ) dλ over the step, with p the polynomial through the nodes' x0."""
    h = end.lam - start.lam
    u, w = (GAUSS[0] + 1) / 2, GAUSS[1] / 2 * h * np.exp(-h * (1 - GAUSS[0]) / 2)
    places = [(node.lam - start.lam) / h for node in nodes]
    total = 0
    for k, node in enumerate(nodes):
        others = [p for j, p in enumerate(places) if j != k]
        basis = np.prod([(u - p) / (places[k] - p) for p in others], axis=0) if others else np.ones_like(u)
        total = total + end.alpha * float((w * basis).sum()) * node.x0
    return total


@sampler("dpmpp-sde", order=1, calls=2)
def dpmpp_sde(now, to, z):
    """DPM-Solver++(SDE) with its stage half-way in λ: two draws of noise, and an x saved over the first."""
    if to.sigma == 0 or now.alpha == 0:
        return to.alpha * now.x0 + to.sigma * z
    mid = point_at_lam((now.lam + to.lam) / 2)
    down, up = _ancestral(now, mid)
    stage = yield mid.alpha * (down / now.v * now.x / now.alpha + (1 - down / now.v) * now.x0 + up * z), mid
    down, up = _ancestral(now, to)
    return to.alpha * (down / now.v * now.x / now.alpha + (1 - down / now.v) * stage.x0 + up * stage.z)


def _ancestral(now: Any, to: Point) -> tuple[float, float]:
    """(down, up): the two parts of to.v, as k-diffusion splits it."""
    up = to.v * sqrt(1 - (to.v / now.v) ** 2)
    return sqrt(to.v**2 - up**2), up


@sampler("churn", order=1)
def wrong_level(now, to):
    """Wrong: the noise that is left is a tenth too strong."""
    return to.alpha * now.x0 + 1.1 * to.sigma * now.eps


@sampler("wrong-stage", order=2, calls=2)
def wrong_stage(now, to):
    """Wrong: Heun's method whose second call is told a level that its input does not have."""
    guess = to.alpha * now.x0 + to.sigma * now.eps
    if to.sigma == 0 or now.alpha == 0:
        return guess
    mid = yield guess, point_at_lam((now.lam + to.lam) / 2)
    return guess + (to.sigma - now.sigma * to.alpha / now.alpha) * (mid.eps - now.eps) / 2


@sampler("adams-bashforth", order=3, startup_order=1)
def constant_weights(now, to):
    """Adams-Bashforth in v with the weights of equal steps: of order 3 on those only, and of order 2 on graded ones."""
    last = now.before
    if last is None or last.before is None or last.before.alpha == 0:
        return to.alpha * now.x0 + to.sigma * now.eps
    slope = (23 * now.eps - 16 * last.eps + 5 * last.before.eps) / 12
    return to.alpha * (now.x / now.alpha + (to.v - now.v) * slope)
