"""Multistep samplers and predictor-correctors: weights against quadrature, rows against papers, orders, the ends."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, log, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from dtool.plan import CLEAN, Node
from dtool.plan import compile as compile_plan
from dtool.samplers import adams, deis, sampler
from dtool.testing import grids, identities
from dtool.testing.grids import at
from dtool.testing.order import global_slope, local_slope

SEEDS = range(6)


def nodes_at(lams):
    """`now` and what is before it, newest first, at these λ."""
    found = [Node(at(lam), 0.0, x0=0.0, eps=0.0) for lam in lams]
    for node, before in pairwise(found):
        node.before = before
    return found


def random_nodes(seed, count):
    """`count` nodes, newest first, and the point to go to: steps in λ from 0.05 to 1.2."""
    rng = np.random.default_rng(seed)
    lams = rng.uniform(-3, 3) - np.cumsum([0, *rng.uniform(0.05, 1.2, count - 1)])
    return nodes_at(lams.tolist()), at(float(lams[0] + rng.uniform(0.05, 1.2)))


def integrals(kernel, places, low, high):
    """∫ kernel·L_k over [low, high] for the Lagrange polynomials of `places`."""

    def basis(k, u):
        return np.prod([(u - p) / (places[k] - p) for j, p in enumerate(places) if j != k])

    precise = {"epsabs": 1e-13, "epsrel": 1e-13, "limit": 200}
    return [quad(lambda u, k=k: kernel(u) * basis(k, u), low, high, **precise)[0] for k in range(len(places))]


def rows_on(token, points):
    return compile_plan(sampler(token), points, prediction="x0")


# The engine


@pytest.mark.parametrize("z", [1e-9, -1e-4, 0.03, -0.4, 0.999, 1.0, -1.7, 6.0, -25.0])
def test_moments_are_the_integrals(z):
    for j, moment in enumerate(adams.exponential_moments(z, 5)):
        wanted = quad(lambda u, j=j: exp((1 - u) * z) * u**j, 0, 1, epsabs=0, epsrel=1e-13)[0]
        assert moment == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_data_weights_are_the_integrals_of_the_reverse_sde(seed, count):
    nodes, to = random_nodes(seed, count)
    eta = float(np.random.default_rng(seed).uniform(0, 2))
    got = adams.data_weights(nodes, nodes[0], to, eta)
    kernel = lambda lam: to.alpha * (1 + eta) * exp((1 + eta) * (lam - to.lam))  # noqa: E731
    assert got == pytest.approx(integrals(kernel, [n.lam for n in nodes], nodes[0].lam, to.lam), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_noise_weights_are_the_integrals_of_the_ode(seed, count):
    nodes, to = random_nodes(seed, count)
    now = nodes[0]
    in_v = integrals(lambda _: to.alpha, [n.v for n in nodes], now.v, to.v)
    in_lam = integrals(lambda lam: -to.sigma * exp(to.lam - lam), [n.lam for n in nodes], now.lam, to.lam)
    assert adams.v_weights(nodes, now, to) == pytest.approx(in_v, rel=1e-8, abs=1e-12)
    assert adams.lam_weights(nodes, now, to) == pytest.approx(in_lam, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0.1, 1.0, 6.0])
def test_deis_in_time_integrates_over_the_time_of_the_vp_sde(seed, length):
    """α(t) = exp(-½(0.1 t + 9.95 t²)), σ² = 1 - α²; time is found by root finding, the integral by quadrature."""
    nodes, _ = random_nodes(seed, 3)
    now = nodes[0]
    to = at(now.lam + length)

    def lam_of(t):
        power = 0.1 * t + 9.95 * t * t
        return -power / 2 - log(-expm1(-power)) / 2

    def time(lam):
        return brentq(lambda t: lam_of(t) - lam, 1e-14, 3.0, xtol=1e-15)

    wanted = np.zeros(3)
    times = [time(n.lam) for n in nodes]
    for k in range(3):
        others = [t for j, t in enumerate(times) if j != k]
        scale = np.prod([times[k] - t for t in others])
        inner = lambda lam, o=others: -to.sigma * exp(to.lam - lam) * (time(lam) - o[0]) * (time(lam) - o[1])  # noqa: E731
        wanted[k] = quad(inner, now.lam, to.lam, epsabs=1e-12, epsrel=1e-11, limit=200)[0] / scale
    got = deis_weights(nodes, to)
    assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def deis_weights(nodes, to):
    """What deis multiplies each ε with: run with unit vectors."""
    for k, node in enumerate(nodes):
        node.x, node._eps = np.zeros(len(nodes)), np.eye(len(nodes))[k]
    return sampler("deis:variable=t,order=3").step(nodes[0], to, variable="t", order=3)


def test_the_quadrature_is_gauss_and_legendres():
    x, w = np.polynomial.legendre.leggauss(8)
    assert np.array(sorted(deis.GAUSS)) == pytest.approx(np.stack([(1 + x) / 2, w / 2], axis=1), abs=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_with_a_corrector_node_ahead_has_the_same_integrals(seed):
    nodes, to = random_nodes(seed, 3)
    ahead = Node(to, 0.0, x0=0.0)
    got = adams.data_weights([ahead, *nodes], nodes[0], to)
    kernel = lambda lam: to.alpha * exp(lam - to.lam)  # noqa: E731
    places = [to.lam, *(n.lam for n in nodes)]
    assert got == pytest.approx(integrals(kernel, places, nodes[0].lam, to.lam), rel=1e-9, abs=1e-12)


# Rows, as papers write them


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_2m_sde(seed):
    """a = σ'/σ·e^{-ηh}; b = α'E(1 + 1/2r), -α'E/2r, E = 1 - e^{-(1+η)h}; c = σ'√(1-e^{-2ηh}) (2211.01095, app. E)."""
    points, eta = grids.random(7, seed, clean=True), 0.15 * (seed + 1)
    made = rows_on(f"dpmpp-2m-sde:eta={eta}", points)
    heun = rows_on(f"dpmpp-2m-sde:eta={eta},variant=heun", points)
    for i in range(1, 6):
        before, now, to = points[i - 1 : i + 2]
        h, r = to.lam - now.lam, (now.lam - before.lam) / (to.lam - now.lam)
        part = -expm1(-(1 + eta) * h)
        tilt = 1 - part / ((1 + eta) * h)
        assert made.a[i] == pytest.approx(to.sigma / now.sigma * exp(-eta * h), rel=1e-12)
        assert made.b[i] == pytest.approx([to.alpha * part * (1 + 1 / (2 * r)), -to.alpha * part / (2 * r)], rel=1e-9)
        assert heun.b[i] == pytest.approx([to.alpha * (part + tilt / r), -to.alpha * tilt / r], rel=1e-7)
        assert made.c[i] == pytest.approx(to.sigma * sqrt(1 - exp(-2 * eta * h)), rel=1e-9)
    assert (made.a[-1], made.b[-1].tolist(), made.c[-1]) == (0, [1, 0], 0)


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_unipc_2(seed, variant):
    """The paper's own coefficients ρ and B(h), corrector and predictor fused into one row (arXiv:2302.04867)."""
    points = grids.random(6, seed, clean=False)
    made = rows_on(f"unipc:variant={variant}", points)
    for i in range(2, 6):
        older, last, now, to = points[i - 2 : i + 2]
        h0, h = now.lam - last.lam, to.lam - now.lam
        rk, r = (older.lam - last.lam) / h0, h0 / h
        p1 = expm1(-h0) / -h0 - 1
        p2 = p1 / -h0 - 0.5
        size = {"bh1": -h0, "bh2": expm1(-h0)}[variant]
        rho = np.linalg.solve([[1, 1], [rk, 1]], [p1 / size, 2 * p2 / size])  # of the old node, and of the new one
        step = to.sigma / now.sigma
        base = -step * now.alpha * size
        reach = -to.alpha * {"bh1": -h, "bh2": expm1(-h)}[variant] / (2 * r)
        newest = base * rho[1] - to.alpha * expm1(-h) + reach
        oldest = base * (rho[0] - 0.5) / rk
        assert made.a[i] == pytest.approx(step, rel=1e-12)
        assert made.b[i] == pytest.approx([newest, -base * rho[1] - oldest - reach, oldest], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_plms_and_ipndm(seed):
    """55, -59, 37, -9 over 24 of κ = σ' - σα'/α on the last four ε, whatever the grid (arXiv:2202.09778, eq. 12)."""
    points = grids.random(8, seed, clean=False)
    known = [[1], [1.5, -0.5], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
    made = rows_on("ipndm", points)
    for i, (now, to) in enumerate(pairwise(points)):
        weights = np.pad(known[min(i, 3)], (0, max(3 - i, 0)))
        assert made.a[i] == pytest.approx(to.alpha / now.alpha, rel=1e-12)
        assert made.b[i] == pytest.approx((to.sigma - now.sigma * to.alpha / now.alpha) * weights, rel=1e-7, abs=1e-12)
    begun = rows_on("plms", points)
    assert begun.rows == made.rows + 1
    assert begun.b[2, [0, 2]] == pytest.approx(made.b[1, :2], rel=1e-7), "the stage is not part of the history"
    assert begun.b[5:, :4] == pytest.approx(made.b[4:], rel=1e-12)


def test_plms_begins_with_the_trapezoid_rule():
    now, to = at(-0.4), at(0.7)
    steps = sampler("plms").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)


@pytest.mark.parametrize("gamma", [1.0, 1.3, 2.0])
def test_rows_of_gradient_estimation(gamma):
    points = grids.random(5, 3, clean=True)
    made = rows_on(f"gradient-estimation:gamma={gamma}", points)
    for i, (now, to) in enumerate(pairwise(points[1:]), start=1):
        weights = (np.array([gamma, 1 - gamma]) * to.alpha * (to.v - now.v))[: made.history]
        assert made.b[i] == pytest.approx(weights, rel=1e-7)


# What is the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lms", "deis:variable=rho,order=4"),
        ("lms:order=2", "deis:variable=rho,order=2"),
        ("lms", "ipndm:variable=true"),
        ("dpm-solver", "deis:variable=logrho,order=3"),
        ("dpmpp-2m-sde:eta=0", "dpmpp-2m"),
        ("dpmpp-2m-sde:eta=0,variant=heun", "dpmpp-2m:variant=heun"),
        ("dpmpp-3m-sde:eta=0,variant=published", "dpmpp-3m:variant=published"),
        ("unipc:order=2,corrector=false", "dpmpp-2m"),
        ("res-multistep", "dpmpp-2m:variant=heun"),
        ("sa-solver:tau=1,predictor=3,corrector=0", "dpmpp-3m-sde"),
        ("sa-solver:tau=1,predictor=1,corrector=0", "ddpm"),
        ("sa-solver:tau=0,predictor=3,corrector=4", "unipc:order=3"),
        *((f"{name}:order=1", "euler") for name in ("lms", "ipndm", "deis", "dpm-solver")),
        ("unipc:order=1,corrector=false", "euler"),
    ],
)
def test_two_names_for_one_method(one, other):
    """SA-Solver without noise and UniPC differ in how they start; a row later they are the same."""
    panel = [grids.random(9, seed, clean=seed % 2 == 0) for seed in SEEDS]
    if "unipc:order=3" in other:
        for points in panel:
            plans = [rows_on(token, points) for token in (one, other)]
            assert plans[0].b[4:] == pytest.approx(plans[1].b[4:], rel=1e-6, abs=1e-9)
    else:
        assert max(identities.apart(sampler(one), sampler(other), points) for points in panel) < 1e-9


@pytest.mark.parametrize(
    "pair", [("unipc", "unipc:variant=bh1"), ("dpmpp-2m", "dpmpp-2m:variant=heun"), ("lms", "deis")]
)
def test_two_methods_are_two(pair):
    assert identities.apart(*map(sampler, pair), grids.random(9, 1, clean=True)) > 1e-3


# Orders


def test_the_published_weights_of_3m_are_of_order_two():
    assert global_slope(sampler("dpmpp-3m")).value == pytest.approx(3, abs=0.1)
    assert global_slope(sampler("dpmpp-3m:variant=published")).value == pytest.approx(2, abs=0.1)
    assert local_slope(sampler("dpmpp-3m"), "uneven").value > 3.85
    assert [sampler(f"dpmpp-3m:variant={v}").order for v in ("corrected", "published")] == [3, 2]


@pytest.mark.parametrize(
    "token",
    [
        *(f"unipc:order={p},corrector={c}" for p in (1, 2, 3) for c in ("true", "false")),
        *(f"deis:order={p}" for p in (2, 4)),
        *(f"sa-solver:tau=0,predictor={p},corrector={q}" for p, q in [(1, 0), (3, 0), (1, 1), (1, 3), (2, 3), (3, 2)]),
        "dpm-solver:order=2,variant=midpoint",
        "lms:order=3",
        "ipndm:order=3",
        "ipndm:variable=true",
    ],
)
def test_orders_hold_for_every_order_option(token):
    rule = sampler(token)
    assert global_slope(rule, "uneven").value == pytest.approx(rule.order, abs=0.15)


def test_with_noise_no_more_than_order_two_is_claimed():
    assert [sampler(f"dpmpp-3m-sde:eta={eta}").order for eta in (0, 0.5, 1)] == [3, 2, 2]
    assert [sampler(f"sa-solver:tau={tau}").order for tau in (0, 0.5)] == [3, 2]
    assert [sampler(f"res-multistep:eta={eta}").order for eta in (0, 1)] == [2, 1]


def test_constant_weights_are_right_where_steps_are_equal_in_v():
    equal = tuple(at(-log(v)) for v in np.linspace(20, 0.5, 12))
    assert identities.apart(sampler("ipndm"), sampler("lms"), equal) < 1e-9
    assert identities.apart(sampler("ipndm"), sampler("lms"), grids.by_lam(11)) > 1e-2


# Starts and ends


@pytest.mark.parametrize(
    ("token", "depth"), [("dpmpp-2m", 2), ("dpmpp-3m", 3), ("unipc", 3), ("lms", 4), ("deis", 3), ("sa-solver", 3)]
)
def test_the_history_grows_from_one_and_starts_anew_after_a_jump(token, depth):
    rising = grids.up_again(10)
    made = rows_on(token, rising)
    used = [1 + int(np.flatnonzero(row)[-1]) for row in made.b]
    first = next(i for i, (now, to) in enumerate(pairwise(rising)) if to.lam < now.lam)
    assert made.history == depth
    assert used[:first] == [min(i + 1, depth) for i in range(first)]
    assert used[first : first + 3] == [min(i + 1, depth) for i in range(3)]


@pytest.mark.parametrize("token", ["dpmpp-2m", "dpmpp-3m-sde", "unipc:corrector=false", "sa-solver:corrector=0"])
def test_the_last_step_to_the_image_is_its_prediction(token):
    made = rows_on(token, (*grids.by_lam(6), CLEAN))
    assert made.a[-1] == made.c[-1] == 0
    assert made.b[-1].tolist() == [1.0] + [0.0] * (made.history - 1)


@pytest.mark.parametrize(("token", "full"), [("lms", True), ("ipndm", True), ("deis:order=4", False)])
def test_polynomials_in_v_hold_at_the_image(token, full):
    made = rows_on(token, (*grids.by_lam(6), CLEAN))
    assert (made.b[-1] != 0).tolist() == [True, full, full, full]


@pytest.mark.parametrize(
    "token", ["unipc", "unipc:order=3,variant=bh1", "sa-solver", "sa-solver:predictor=4,corrector=2"]
)
def test_a_corrector_costs_no_network_call(token):
    points = grids.random(8, 1, clean=True)
    made = rows_on(token, points)
    assert made.rows == made.steps == 8
    assert made.a_saved.tolist() == [0] * 8
    assert made.draws == (7 if "sa" in token else 0), "the corrector reuses the step's noise"


def test_sa_solver_adds_the_noise_of_the_sde_of_strength_tau_squared():
    points = grids.random(6, 0, clean=False)
    made = rows_on("sa-solver:tau=0.6", points)
    wanted = [to.sigma * sqrt(1 - exp(-2 * 0.36 * (to.lam - now.lam))) for now, to in pairwise(points)]
    assert made.c == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ancestral_res_steps_further_down_and_back_up(eta):
    now, to = at(0.2), at(1.1)
    made = rows_on(f"res-multistep:eta={eta}", (now, to))
    up = min(to.v, eta * to.v * sqrt(1 - (to.v / now.v) ** 2))
    assert made.c[0] == pytest.approx(to.alpha * up, rel=1e-12)
    assert made.a[0] == pytest.approx(to.alpha / now.alpha * sqrt(to.v**2 - up**2) / now.v, rel=1e-12)
