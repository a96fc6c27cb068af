"""The comparison of a table with its rule: it is nothing where both are right, and as large as what is wrong."""

from dataclasses import replace
from itertools import count

import pytest

from dtool.certify import compiled
from dtool.certify.grids import by_lam, point_at_lam
from dtool.certify.laws import THREE_GAUSSIANS
from dtool.plan import Point
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler

# One step, in coordinates in which the weight of x0 is above 1.
STEP = tuple(Point(5 * point.alpha, 5 * point.sigma) for point in (point_at_lam(-0.5), point_at_lam(1.0)))


@pytest.mark.parametrize("token", ["ddim", "heun", "dpmpp-2m", "ddpm", "seeds-2"])
def test_a_table_and_its_rule_agree(token):
    assert compiled.difference(get_sampler(token), by_lam(9)) < compiled.BAR


@pytest.mark.parametrize("error", [1e-3, -0.02])
def test_a_weight_that_is_off_is_seen_at_its_size(error, monkeypatch):
    """Of one step x' = a·x + b·x0, a off by δ moves the outermost x by δ·1.8 standard deviations."""
    right = compiled.compile_plan
    monkeypatch.setattr(compiled, "compile_plan", lambda *args, **named: change(right(*args, **named)))

    def change(plan):
        return replace(plan, a=plan.a + error)

    largest = abs(right(get_sampler("ddim"), STEP, prediction="x0").b).max()
    assert largest > 2
    wanted = abs(error) * 1.8 * THREE_GAUSSIANS.std(STEP[0]) / largest
    assert compiled.difference(get_sampler("ddim"), STEP) == pytest.approx(wanted, rel=1e-9)


def test_noise_that_is_off_is_seen_in_the_variance(monkeypatch):
    right = compiled.compile_plan
    monkeypatch.setattr(compiled, "compile_plan", lambda *args, **named: change(right(*args, **named)))

    def change(plan):
        return replace(plan, c=1.01 * plan.c)

    plan = right(get_sampler("ddpm"), STEP, prediction="x0")
    wanted = (1.01**2 - 1) * plan.c[0] ** 2 / (0.5 * abs(plan.b).max()) ** 2
    assert compiled.difference(get_sampler("ddpm"), STEP) == pytest.approx(wanted, rel=1e-9)


def test_a_rule_that_is_another_one_each_time_is_infinitely_far_off():
    turns = count()

    @sampler("fickle", order=1)
    def fickle(now, to):
        return (1 + 1e-12 * next(turns)) * to.alpha * now.x0 + to.sigma * now.eps

    assert compiled.difference(fickle, STEP) == float("inf")
