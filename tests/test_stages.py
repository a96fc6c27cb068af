"""Runge-Kutta, ancestral and churned samplers: identities, orders by an arithmetic of its own, stages, calls."""

import inspect
from itertools import pairwise
from math import exp, log, log1p, sqrt

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from dtool.plan import CLEAN, Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import sampler
from dtool.samplers.runge_kutta import lean, level
from dtool.testing.grids import at, by_lam, random
from dtool.testing.identities import apart

PLACES, WEIGHTS, WIDTHS = np.array([-1.0, 0.8]), np.array([0.4, 0.6]), np.array([0.35, 0.25])
DETERMINISTIC = {
    "heun": 2, "heun:alpha=0.6": 2, "dpm2": 2, "dpm2:power=0.33": 2, "dpm-solver-2s:r=0.3": 2, "dpm-solver-3s": 3,
    "dpmpp-2s:r=0.7": 2, "dpmpp-2s:weights=exact,r=0.4": 2, "dpmpp-3s": 3, "exp-heun-2": 2, "dpm-fast": 3,
    "dpm-fast:order=2": 2, "dpmpp-singlestep": 2, "dpmpp-singlestep:order=3": 3, "heunpp2": 1,
}  # fmt: skip
STOCHASTIC = {
    "euler-ancestral": 1, "dpm2-ancestral": 2, "dpmpp-2s-ancestral": 2, "dpmpp-2s-ancestral:eta=0.5": 2,
    "dpmpp-sde": 1, "edm-euler": 1, "edm-heun:churn=2": 2, "seeds-2": 2, "seeds-2:r=1,weights=exact": 2,
    "seeds-2:r=0.7,eta=0.6": 2, "seeds-3": 2, "exp-heun-2:eta=1": 2,
}  # fmt: skip
SAME = [
    ("euler-ancestral:eta=0", "euler"),
    ("euler-ancestral:eta=1", "ddpm"),
    ("euler-ancestral:eta=0.4", "ddim:eta=0.4"),
    ("edm-euler:churn=0", "euler"),
    ("edm-heun:churn=0", "heun"),
    ("dpm2", "dpm-solver-2s"),
    ("dpm2:power=1", "heun:alpha=0.5"),
    ("dpm2-ancestral:eta=0,power=0.5", "dpm2:power=0.5"),
    ("dpmpp-2s-ancestral:eta=0", "dpmpp-2s"),
    ("dpmpp-sde:eta=0,r=0.3", "dpmpp-2s:r=0.3"),
    ("seeds-2:eta=0,r=0.3", "dpmpp-2s:r=0.3"),
    ("seeds-3:eta=0", "dpmpp-3s"),
    ("exp-heun-2", "dpmpp-2s:r=1,weights=exact"),
    ("exp-heun-2:eta=1", "seeds-2:r=1,weights=exact"),
]  # fmt: skip
DIFFERENT = [
    ("heun", "dpm2"),
    ("dpm2", "dpmpp-2s"),
    ("dpm-solver-3s", "dpmpp-3s"),
    ("dpmpp-sde", "seeds-2"),
    ("dpm2-ancestral", "dpmpp-2s-ancestral"),
    ("dpm-solver-2s", "dpm-solver-2s:weights=exact"),
]


def posterior(x, v):
    """E[ε | x̄] of the two Gaussians at the level σ/α = v, in x̄ = x/α."""
    spread = WIDTHS**2 + v * v
    off = np.asarray(x)[..., None] - PLACES
    power = -off * off / (2 * spread)
    share = WEIGHTS / np.sqrt(spread) * np.exp(power - power.max(-1, keepdims=True))
    return (share * v * off / spread).sum(-1) / share.sum(-1)


def eps(x, point):
    return posterior(x / point.alpha, point.sigma / point.alpha)


def density(x, v):
    spread = WIDTHS**2 + v * v
    off = x[:, None] - PLACES
    return (WEIGHTS / np.sqrt(2 * np.pi * spread) * np.exp(-off * off / (2 * spread))).sum(-1)


def solved(x, first, last, n=1000):
    """The probability-flow ODE from v = first to last, in ln v, by the classical method of order 4."""
    h, u = (log(last) - log(first)) / n, log(first)

    def slope(y, w):
        return exp(w) * posterior(y, exp(w))

    for _ in range(n):
        a = slope(x, u)
        b = slope(x + h / 2 * a, u + h / 2)
        c = slope(x + h / 2 * b, u + h / 2)
        x, u = x + h / 6 * (a + 2 * b + 2 * c + slope(x + h * c, u + h)), u + h
    return x


def ve(first, last, n, bend=0.15):
    """`n` uneven steps from v = first to last in coordinates with α = 1."""
    u = np.arange(n + 1) / n
    u = u + bend * u * (1 - u)
    return tuple(Point(1.0, float(v)) for v in np.exp((1 - u) * log(first) + u * log(last)))


@pytest.mark.parametrize(("token", "order"), DETERMINISTIC.items())
def test_the_error_falls_at_the_declared_order(token, order):
    rule, start = sampler(token), np.linspace(-9, 9, 11)
    exact = solved(start, 6.0, 0.15)
    found = [np.abs(run_eager(rule, ve(6.0, 0.15, n), eps, start) - exact).max() for n in (60, 120, 240)]
    slopes = -np.diff(np.log2(found))
    assert rule.order == order
    assert slopes[-1] == pytest.approx(order, abs=0.2), slopes


def weak_error(rule, n, first=1.2, last=0.6):
    """|E φ(x) - exact| at the end for φ = 1/(1 + x²): the backward recursion of the chain, with no random numbers.

    Every interval's function of x is on a fine grid, and the noises of its calls are integrated by Gauss and Hermite.
    """
    x = np.linspace(-10, 10, 401)
    calls = rule.calls
    roots, masses = np.polynomial.hermite_e.hermegauss(7 if calls == 3 else 9)
    z = np.meshgrid(*[roots] * calls, indexing="ij")
    mass = np.prod(np.meshgrid(*[masses / masses.sum()] * calls, indexing="ij"), axis=0).ravel()
    z = [one.ravel()[None, :] for one in z]
    points = ve(first, last, n, bend=0.0)
    value = 1 / (1 + x * x)
    exact = np.trapezoid(density(x, last) * value, x)
    for now, to in reversed(list(pairwise(points))):
        after = run_eager(rule, (now, to), eps, np.repeat(x[:, None], mass.size, axis=1), lambda i: z[i])
        value = CubicSpline(x, value)(np.clip(after, x[0], x[-1])) @ mass
    return abs(np.trapezoid(density(x, first) * value, x) - exact)


@pytest.mark.parametrize(("token", "order"), STOCHASTIC.items())
def test_the_weak_order_holds_where_the_network_is_not_linear(token, order):
    rule = sampler(token)
    steps = (16, 24) if rule.calls == 3 else (8, 16)
    found = [weak_error(rule, n) for n in steps]
    assert rule.order == order
    assert np.log(found[0] / found[1]) / np.log(steps[1] / steps[0]) == pytest.approx(order, abs=0.2), found


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_names_for_one_method(one, other):
    for points in (by_lam(9, "uneven"), *(random(7, seed, clean=seed % 2 == 0) for seed in range(3))):
        assert apart(sampler(one), sampler(other), points) <= 1e-9


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_methods_that_are_not_one(one, other):
    assert apart(sampler(one), sampler(other), by_lam(9)) > 1e-4


def test_churn_of_one_is_ddpm_while_gamma_is_small_enough():
    assert apart(sampler("edm-euler:churn=1"), sampler("ddpm"), by_lam(64)) <= 1e-9
    assert apart(sampler("edm-euler:churn=1"), sampler("ddpm"), by_lam(8)) > 1e-3


@pytest.mark.parametrize("token", ["edm-euler", "edm-heun"])
@pytest.mark.parametrize("seed", range(3))
def test_churn_is_algorithm_2_of_edm(token, seed):
    """EDM's loop as the paper has it, on EDM's levels t: ours is the same, draw for draw, on the levels t̂."""
    rng = np.random.default_rng(seed)
    gamma, s_min, s_max, s_noise = 0.2, 0.3, 4.0, 1.05
    t = [9.0, 6.5, *np.cumprod([3.9, *rng.uniform(0.5, 0.8, 5)]), 0.0]
    hat = [v * (1 + gamma) if s_min <= v <= s_max else v for v in t]
    hat[0] = t[0]  # the first level's churn is in the start
    noise, heun = rng.standard_normal((2 * len(t), 5)), token == "edm-heun"
    x = start = hat[0] * rng.standard_normal(5)
    calls = 0
    for i in range(len(t) - 1):
        if i and hat[i] > t[i]:
            x = x + s_noise * sqrt(hat[i] ** 2 - t[i] ** 2) * noise[calls - 1]
        d = posterior(x, hat[i])
        calls += 1
        ahead = x + (t[i + 1] - hat[i]) * d
        if heun and t[i + 1] > 0:
            ahead = x + (t[i + 1] - hat[i]) * (d + posterior(ahead, t[i + 1])) / 2
            calls += 1
        x = ahead
    rule = sampler(f"{token}:gamma={gamma},s_min={s_min},s_max={s_max},s_noise={s_noise}")
    points = [Point(1.0, v) for v in hat]
    assert run_eager(rule, points, eps, start, lambda i: noise[i]) == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("token", [t for t in (*DETERMINISTIC, *STOCHASTIC) if t != "heunpp2"])
@pytest.mark.parametrize("seed", range(2))
def test_stages_lie_inside_their_interval_and_calls_are_as_stated(token, seed):
    rule, points = sampler(token), random(6, seed, clean=True)
    made = compile_plan(rule, points, prediction="x0")
    lam = np.log(made.alpha / made.sigma)
    first, rows = 0, np.flatnonzero(made.step_end)
    assert len(rows) == 6
    for i, last in enumerate(rows):
        assert last - first + 1 == (rule.calls if i < 5 else 1)
        assert lam[first] == pytest.approx(points[i].lam)
        # An ancestral step goes on below its end, η = 1 by as much again; churn by at most ln √2.
        h = points[i + 1].lam - points[i].lam
        beyond = 0 if token in DETERMINISTIC or "seeds" in token else max(h, log(2) / 2)
        stages = lam[first + 1 : last + 1]
        assert (stages > points[i].lam).all()
        assert (stages <= points[i + 1].lam + beyond + 1e-9).all()
        assert np.hypot(made.alpha, made.sigma) == pytest.approx(np.ones(made.rows)), "VP stays VP"
        first = last + 1


@pytest.mark.parametrize(("token", "whole"), [("dpm-fast", "dpm-solver-3s"), ("dpmpp-singlestep", "dpmpp-2s")])
def test_a_budget_is_spent_in_whole_steps(token, whole):
    """On levels that are even in λ, each group of calls is one step of the method that it is named after."""
    rule, method = sampler(token), sampler(whole)
    fine, x = by_lam(6 * rule.order), np.linspace(-9, 9, 7)
    assert run_eager(rule, fine, eps, x) == pytest.approx(run_eager(method, fine[:: rule.order], eps, x), rel=1e-12)
    assert compile_plan(rule, fine).rows == 6 * rule.order


@pytest.mark.parametrize(("rest", "order"), [(0, 3), (1, 2), (2, 3)])
def test_what_is_left_of_a_budget_costs_order(rest, order):
    """One call left over: a last step of order 1, whose error falls by h². Two: one of order 2, by h³."""
    x = np.linspace(-9, 9, 11)
    exact = solved(x, 6.0, 0.15)
    found = [
        np.abs(run_eager(sampler("dpm-fast"), ve(6.0, 0.15, n + rest), eps, x) - exact).max() for n in (120, 240, 480)
    ]
    assert np.diff(np.log2(found))[-1] == pytest.approx(-order, abs=0.25)


def test_heunpp2_is_its_loop_on_levels_even_in_lam():
    v = [p.v for p in ve(5.0, 0.1, 9, bend=0.0)]
    x = start = np.linspace(-5, 5, 7)
    for now, to, further in zip(v, v[1:], [*v[2:], v[-1] ** 2 / v[-2]], strict=False):
        d = posterior(x, now)
        second = x + (to - now) * d
        d2 = posterior(second, to)
        d3 = posterior(second + (further - to) * d2, further)
        w2, w3 = to / (3 * v[0]), further / (3 * v[0])
        x = x + (to - now) * ((1 - w2 - w3) * d + w2 * d2 + w3 * d3)
    assert run_eager(sampler("heunpp2"), ve(5.0, 0.1, 9, bend=0.0), eps, start) == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("token", STOCHASTIC)
@pytest.mark.parametrize("s_noise", [0.0, 0.9, 1.1])
def test_s_noise_scales_every_draw_and_nothing_else(token, s_noise):
    points = by_lam(5)
    plain = compile_plan(sampler(token), points, prediction="x0")
    scaled = compile_plan(sampler(f"{token}{',' if ':' in token else ':'}s_noise={s_noise}"), points, prediction="x0")
    assert scaled.c == pytest.approx(s_noise * plain.c)
    assert plain.c.max() > 0
    x, still = np.linspace(-9, 9, 5), lambda _: 0.0
    assert run_eager(sampler(token), points, eps, x, still) == pytest.approx(
        run_eager(sampler(f"{token}{',' if ':' in token else ':'}s_noise={s_noise}"), points, eps, x, still), rel=1e-12
    )


@pytest.mark.parametrize("token", [*DETERMINISTIC, *STOCHASTIC])
@pytest.mark.parametrize("first", [Point(0.0, 1.0), at(-9.0)])
def test_the_ends_are_steps_of_order_one(token, first):
    """From no signal at all, and to the image, there is one call, and what comes out is finite."""
    rule, x = sampler(token), np.linspace(-1, 1, 5)
    made = compile_plan(rule, (first, at(0.0), CLEAN), prediction="x0")
    assert np.isfinite(made.b).all()
    assert made.rows == (2 if first.alpha == 0 else rule.calls + 1)
    if first.alpha > 0:
        assert np.isfinite(run_eager(rule, (first, at(0.0), CLEAN), eps, x)).all()
    only = compile_plan(rule, (first, CLEAN), prediction="x0")
    assert (only.rows, only.a[0], only.b[0, 0], only.c[0]) == (1, 0.0, 1.0, 0.0)


def test_lean_is_the_mean_under_an_exponential():
    roots, masses = np.polynomial.legendre.leggauss(60)
    u = (roots + 1) / 2
    for y in (-40, -3.0, -0.051, -0.049, -1e-9, 0.0, 1e-4, 0.049, 0.051, 2.0, 30.0):
        kernel = masses * np.exp(-y * u)
        assert lean(y) == pytest.approx((kernel * u).sum() / kernel.sum(), abs=1e-13)
    assert lean(800.0) == pytest.approx(1 / 800)
    assert lean(-800.0) == pytest.approx(1 - 1 / 800)


def test_a_level_between_two_keeps_the_scale_that_they_have():
    from dtool.plan.point import Node

    now, to = Node(Point(1.0, 9.0), x=0.0, x0=0.0), Point(1.0, 3.0)
    between = level(now, to, -log(5.0))
    assert between.v == pytest.approx(5.0)
    assert between.alpha == pytest.approx(1.0, rel=0.02)
    assert level(now, to, -log(3.0) + log1p(0.5)).lam == pytest.approx(-log(2.0))
    assert np.isnan(between.t)


@pytest.mark.parametrize("token", [*DETERMINISTIC, *STOCHASTIC])
def test_options_are_described(token):
    rule = sampler(token)
    assert rule.family in {"one step", "Runge-Kutta", "stochastic"}
    assert rule.cite
    assert all(field.description for field in rule.model.model_fields.values())
    assert "network call" in inspect.cleandoc(rule.doc)
