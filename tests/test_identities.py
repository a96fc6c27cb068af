"""Different names for one thing, and the coefficients that papers print."""

from itertools import pairwise
from math import expm1, sqrt

import numpy as np
import pytest
from rules import configurations, deterministic, keeps_marginals

from dtool.plan import CLEAN, Node, Point, plan
from dtool.plan import compile as compile_plan
from dtool.samplers import sampler
from dtool.schedulers import schedule
from dtool.testing import grids
from dtool.testing.targets import THREE
from dtool.testing.walk import optimal, walk


def tables(first, second, points):
    """The rows of two rules on one grid, in the x0 form."""
    return [compile_plan(sampler(token), points, prediction="x0") for token in (first, second)]


def same(one, other):
    assert one.rows == other.rows
    for column in ("a", "b", "c"):
        assert getattr(one, column) == pytest.approx(getattr(other, column), abs=1e-12), column


def some_grids():
    table = schedule("linear", T=200)
    alpha, sigma = table.alpha[::-1], table.sigma[::-1]
    yield (*(Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)), CLEAN)
    yield from (grids.random(12, seed, clean=seed % 2 == 0) for seed in range(4))


@pytest.mark.parametrize("pair", [("ddim:eta=1", "ddpm:sigma=tilde"), ("ddim:eta=0", "euler"), ("ddim", "euler")])
def test_two_names_for_one_sampler(pair):
    for points in some_grids():
        same(*tables(*pair, points))


def test_the_posterior_of_the_textbook():
    """√ᾱ_{t-1}β_t/(1-ᾱ_t) for x0, √α_t(1-ᾱ_{t-1})/(1-ᾱ_t) for x, β̃_t for the noise (arXiv:2006.11239, eq. 6-7)."""
    table = schedule("linear", T=300)
    made = plan("ddpm", scheduler=table, steps=300, prediction="x0")
    beta = np.linspace(1e-4, 0.02, 300) * 1000 / 300
    bar = np.cumprod(1 - beta)
    last = np.concatenate([[1.0], bar[:-1]])
    assert made.b[::-1, 0] == pytest.approx(np.sqrt(last) * beta / (1 - bar), abs=1e-10)
    assert made.a[::-1] == pytest.approx(np.sqrt(1 - beta) * (1 - last) / (1 - bar), abs=1e-10)
    assert made.c[::-1] == pytest.approx(np.sqrt((1 - last) / (1 - bar) * beta), abs=1e-10)
    wide = plan("ddpm:sigma=beta", scheduler=table, steps=300, prediction="x0")
    assert wide.c[:-1] == pytest.approx(np.sqrt(beta[:0:-1]), abs=1e-10)
    assert wide.c[-1] == 0, "no noise in the last step"
    assert not plan("ddpm:sigma=none", scheduler=table, steps=300).stochastic


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_as_its_paper_writes_it(eta):
    """x' = √ᾱ'·x0 + √(1-ᾱ'-σ²)·ε + σ·z, σ = η·√((1-ᾱ')/(1-ᾱ))·√(1-ᾱ/ᾱ') (arXiv:2010.02502, eq. 12, 16)."""
    made = plan("ddim", eta=eta, scheduler="cosine", steps=20, prediction="x0")
    for i in range(19):
        now, to = made.alpha[i] ** 2, made.alpha[i + 1] ** 2
        noise = eta * sqrt((1 - to) / (1 - now)) * sqrt(1 - now / to)
        on_eps = sqrt(1 - to - noise**2)
        assert made.a[i] == pytest.approx(on_eps / sqrt(1 - now), rel=1e-9)
        assert made.b[i, 0] == pytest.approx(sqrt(to) - on_eps * sqrt(now / (1 - now)), rel=1e-7)
        assert made.c[i] == pytest.approx(noise, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("token", ["euler", "ddim", "ddim:eta=0.5", "ddpm", "ddpm:sigma=beta", "ddpm:sigma=none"])
@pytest.mark.parametrize("start", [Point(0.3, 0.95), Point(0.0, 1.0), Point(1.0, 40.0)])
def test_one_step_to_the_image_is_x0(token, start):
    made = compile_plan(sampler(token), (start, CLEAN), prediction="x0")
    assert (made.a.tolist(), made.b.tolist(), made.c.tolist()) == ([0.0], [[1.0]], [0.0])


@pytest.mark.parametrize("token", configurations())
def test_the_last_step_to_the_image_adds_no_noise(token):
    made = compile_plan(sampler(token), grids.random(6, 2, clean=True), prediction="x0")
    assert made.c[-1] == 0


def test_weights_of_2m_on_a_uniform_grid():
    """In λ, D = 3/2·x0 - 1/2·x0_before: b = α(1-e^{-h})·(3/2, -1/2) (arXiv:2211.01095, algorithm 2)."""
    points = grids.by_lam(20)
    made = compile_plan(sampler("dpmpp-2m"), points, prediction="x0")
    h = points[1].lam - points[0].lam
    for i, (now, to) in enumerate(pairwise(points)):
        weights = (1.5, -0.5) if i else (1.0, 0.0)
        assert made.b[i] == pytest.approx(np.multiply(-to.alpha * expm1(-h), weights), abs=1e-12)
        assert made.a[i] == pytest.approx(to.sigma / now.sigma, abs=1e-12)


def test_2m_starts_and_ends_as_ddim():
    points = grids.random(5, 0, clean=True)
    two, one = tables("dpmpp-2m", "ddim", points)
    for i in (0, 4):
        assert two.a[i] == pytest.approx(one.a[i], abs=1e-12)
        assert two.b[i] == pytest.approx([one.b[i, 0], 0.0], abs=1e-12)


def test_heun_is_the_trapezoid_rule():
    """x̄' = x̄ + (v'-v)(ε + ε')/2 in x̄ = x/α; here with numbers for x, ε and ε'."""
    now, to = grids.at(-0.4), grids.at(0.7)
    steps = sampler("heun").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    assert guess / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * 0.3)
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)


@pytest.mark.parametrize("token", [t for t in configurations() if deterministic(t) and keeps_marginals(t)])
def test_the_coordinates_do_not_matter(token):
    """The same levels, variance preserving or with α = 1 (x/α): the same image."""
    points = grids.by_lam(15, "uneven")
    scaled = tuple(Point(1.0, p.v) for p in points)
    x = np.linspace(-1.5, 1.5, 5) * THREE.std(points[0])
    one, other = (compile_plan(sampler(token), grid, prediction="x0") for grid in (points, scaled))
    end = walk(one, optimal(THREE, one), x) / points[-1].alpha
    assert walk(other, optimal(THREE, other), x / points[0].alpha) == pytest.approx(end, abs=1e-10)
