"""compile(rule, points): the table does what the rule does, and errors name the interval."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtool.certify import grids
from dtool.certify.compiled import difference
from dtool.certify.grids import point_at_lam
from dtool.certify.laws import THREE_GAUSSIANS, gaussian, run_optimal_network
from dtool.certify.moments import moments
from dtool.errors import CompileError
from dtool.plan import CLEAN, Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector
from tests.support.steps import FAR, NEAR, compiled

RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]


def test_an_error_inside_a_rule_names_the_interval():
    def step(now, to):
        return now.x0 * math.log(to.sigma)

    with pytest.raises(CompileError, match=r"mine, from λ=0.2877 to λ=inf: ValueError"):
        compiled(step)


def test_a_coefficient_that_is_not_finite_is_refused():
    with pytest.raises(CompileError, match="not finite"):
        compiled(lambda now, to: now.x0 * float(to.lam))


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
@settings(max_examples=15, deadline=None)
@given(st.integers(2, 14), st.integers(0, 2**31), st.booleans())
def test_the_table_does_what_the_rule_does(rule, n, seed, clean):
    assert difference(rule, grids.random_grid(n, seed, clean=clean)) < 1e-9


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_grids_that_go_up_again(rule):
    points = grids.two_pass_grid(12)
    assert difference(rule, points) < 1e-9
    made = compile_plan(rule, points, prediction="x0")
    falls = sum(to.lam > now.lam for now, to in pairwise(points))
    assert made.steps == falls, "an upward interval calls no network"
    assert made.draws >= 1


def test_an_upward_interval_is_the_forward_process():
    up = Point(0.3, math.sqrt(0.91))
    made = compile_plan(get_sampler("ddim"), (FAR, NEAR, up, CLEAN), prediction="x0")
    plain = compile_plan(get_sampler("ddim"), (FAR, NEAR, CLEAN), prediction="x0")
    scale = up.alpha / NEAR.alpha
    assert made.a[0] == pytest.approx(scale * plain.a[0])
    assert made.b[0, 0] == pytest.approx(scale * plain.b[0, 0])
    assert made.c[0] == pytest.approx(math.sqrt(up.sigma**2 - (scale * NEAR.sigma) ** 2))
    assert made.rows == 2


def random_rule(seed, *, basis, stages, depth, noisy):
    """A rule with random weights on x, on every prediction of `stages` and `depth` earlier nodes, and on fresh noise.

    Without noise between them, the other prediction of a node, and its x, may be used too.
    """
    parts = (basis,) if noisy else ("x", "x0", "eps")

    def weight(now, place):
        random = np.random.default_rng([seed, place, round(1e6 * (now.lam + 10))])
        return float(random.choice([-1, 1]) * random.uniform(0.3, 1))

    def combine(now, nodes, place):
        terms = [(node, part) for node in nodes for part in parts if (node, part) != (now, "x")]
        total = weight(now, place) * now.x
        for k, (node, part) in enumerate(terms, start=1):
            total = total + weight(now, place + k) / len(terms) * getattr(node, part)
        return total

    def walk(now, to):
        nodes = [now]
        while len(nodes) <= depth and nodes[-1].before is not None:
            nodes.append(nodes[-1].before)
        newest, lam = now, min(to.lam, now.lam + 1)
        for stage in range(stages):
            guess = combine(now, nodes, 100 * stage)
            guess = guess + weight(now, 100 * stage + 99) * newest.z if noisy else guess
            newest = yield guess, point_at_lam(now.lam + (stage + 1) / (stages + 1) * (lam - now.lam))
            nodes = [newest, *nodes]
        x = combine(now, nodes, 1000)
        return x + weight(now, 1099) * newest.z if noisy else x

    options = {"order": 1, "calls": 1 + stages, "basis": basis}
    if noisy:
        return sampler("random", **options)(lambda now, to, z: walk(now, to))
    return sampler("random", **options)(lambda now, to: walk(now, to))


def random_levels(seed, n):
    lam = np.sort(np.random.default_rng(seed).uniform(-2, 1.5, n + 1)) + 1e-3 * np.arange(n + 1)
    return [point_at_lam(float(value)) for value in lam]


shapes = {
    "basis": st.sampled_from(["x0", "eps"]), "stages": st.integers(0, 2), "depth": st.integers(0, 2),
    "seed": st.integers(0, 2**31), "n": st.integers(1, 6),
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(**shapes)
def test_a_random_linear_rule_is_compiled_to_what_it_does(seed, n, **shape):
    rule, points = random_rule(seed, noisy=False, **shape), random_levels(seed, n)
    made = compile_plan(rule, points, prediction="x0")
    x = np.linspace(-1.5, 1.5, 5)
    end = run_eager(rule, points, THREE_GAUSSIANS.eps, x)
    assert made.rows == n * (1 + shape["stages"])
    assert run_optimal_network(made, THREE_GAUSSIANS, x) == pytest.approx(end, rel=1e-7, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(**shapes)
def test_a_random_rule_with_noise_is_compiled_to_the_same_law(seed, n, **shape):
    """Every noise a unit vector of its own: the table may draw it in another row, so variances are compared."""
    rule, points = random_rule(seed, noisy=True, **shape), random_levels(seed, n)
    made = compile_plan(rule, points, prediction="x0")
    law = gaussian(0.0, 0.5)
    start = np.zeros(made.rows + 1)
    start[-1] = law.std(points[0])
    end = run_eager(rule, points, law.eps, start, lambda i: np.eye(start.size)[i])
    assert made.draws == made.rows == n * (1 + shape["stages"])
    assert moments(made, 0.0, 0.5)[1][-1] == pytest.approx(np.square(end).sum(), rel=1e-9)
