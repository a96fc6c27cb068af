"""A run without its first network call: the rule with the known answer in its place."""

from math import hypot

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.errors import CompileError
from dtool.plan import CLEAN, run_eager
from dtool.plan import compile as compile_plan
from dtool.plan.reference import run_plan
from dtool.samplers import get_sampler
from dtool.targets import target

POINTS = (*grids.by_lam(6, "uneven"), CLEAN)
ODE = ["ddim", "heun", "dpmpp-2m", "dpmpp-3m", "unipc:order=3", "lms", "dpm2", "plms", "dpmpp-3s", "deis:order=4"]


def predict_noise(x, at):
    scale = hypot(0.5 * at.alpha, at.sigma)
    return at.sigma / scale * np.tanh(x / scale)


@pytest.mark.parametrize("token", ODE)
def test_the_rule_is_given_x_itself_for_the_noise(token):
    """History included: later steps look back at the answer that was not asked for."""
    rule, first = get_sampler(token), POINTS[0]
    size = hypot(first.alpha, first.sigma)

    def answer(x, at):
        return x / size if at == first else predict_noise(x, at)

    x = np.linspace(-1, 1, 5)
    wanted = run_eager(rule, POINTS, answer, x)
    plan = compile_plan(rule, POINTS, analytic_start=True)
    whole = compile_plan(rule, POINTS)
    assert (plan.rows, plan.alpha[0]) == (whole.rows - 1, whole.alpha[1])
    levels = iter(zip(plan.alpha, plan.sigma, strict=True))

    def network(y, _):
        alpha, sigma = next(levels)
        return predict_noise(y, dtool.Point(float(alpha), float(sigma)))

    assert run_plan(plan, network, plan.init / size * x) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("token", ["ddpm", "euler-ancestral", "dpmpp-2m-sde"])
def test_noise_of_the_first_step_is_part_of_the_start(token):
    plan, whole = (compile_plan(get_sampler(token), POINTS, analytic_start=start) for start in (True, False))
    first, second = POINTS[:2]
    size = hypot(first.alpha, first.sigma)
    kept = whole.a[0] + whole.b[0, 0] * (1 - first.sigma / size) / first.alpha
    assert plan.init == pytest.approx(hypot(kept * size, whole.c[0]))
    assert plan.rows == 6
    assert plan.init == pytest.approx(hypot(second.alpha, second.sigma), rel=0.05)


def test_a_recipe_says_it():
    plan = dtool.plan("dpmpp-2m/karras:first=analytic", steps=6)
    assert (plan.rows, plan.recipe) == (5, "dpmpp-2m/karras:first=analytic")
    assert dtool.plan("dpmpp-2m/karras:first=analytic", steps=6, strength=0.5).rows == 3
    assert dtool.plan("ddim@linear:zero_snr=true/trailing:first=analytic", steps=4, prediction="v").rows == 3


def test_as_many_calls_come_nearer():
    network = target("gmm:d=2").network()
    exact = dtool.sample(network, "dpmpp-2m/karras", steps=300, n=100).x0

    def measure(recipe, steps):
        out = dtool.sample(network, recipe, steps=steps, n=100)
        return out.calls, float(np.sqrt(((out.x0 - exact) ** 2).mean()))

    with_call, without = measure("dpmpp-2m/karras", 8), measure("dpmpp-2m/karras:first=analytic", 9)
    assert with_call[0] == without[0] == 8
    assert without[1] < with_call[1]


@pytest.mark.parametrize(("token", "steps"), [("ddim", 1), ("dpmpp-sde", 5)])
def test_what_has_no_analytic_start(token, steps):
    with pytest.raises(CompileError):
        dtool.plan(f"{token}/trailing:first=analytic", steps=steps)
