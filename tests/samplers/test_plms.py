"""PLMS and PNDM: their first steps."""

from __future__ import annotations

import pytest

from dtool import plan
from dtool.certify.adopted import adopt
from dtool.certify.grids import point_at_lam
from dtool.certify.identities import distance
from dtool.plan import CLEAN, Node, Recipe, points_on
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler


def test_plms_begins_with_the_trapezoid_rule():
    now, to = point_at_lam(-0.4), point_at_lam(0.7)
    steps = get_sampler("plms").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)


@pytest.mark.parametrize("steps", [10, 25])
def test_pndm_is_the_table_of_diffusers(steps):
    """Where T/n is even, and so half a step a whole time: the warm-up's rows and all others, to rounding."""
    pytest.importorskip("diffusers")
    theirs = adopt(Recipe.parse("diffusers:PNDMScheduler"), steps).plan
    ours = plan("pndm/leading:compat=diffusers,end=stay", scheduler="linear", steps=steps)
    assert ours.rows == theirs.rows == steps + 9
    assert ours.t.tolist() == theirs.t.tolist()
    end = points_on(get_scheduler("linear"), [0], 0)[0]
    assert distance(ours, theirs, (end, end)) < 1e-12


def test_pndm_tells_the_network_the_time_half_way():
    """Where ⌊T/n⌋ is odd diffusers goes half-way to one time, and names the next one to the network."""
    made = plan("pndm/leading:compat=diffusers", scheduler="linear", steps=8)
    assert made.t[:5].tolist() == [875, 812.5, 812.5, 750, 750]


def test_pndm_without_times_takes_the_middle_in_lam():
    now, to = point_at_lam(-0.4), point_at_lam(0.7)
    _, where = next(get_sampler("pndm").step(Node(now, 0.8, eps=0.3), to))
    assert where.lam == pytest.approx(0.15)


@pytest.mark.parametrize("end", [CLEAN, point_at_lam(9.0)])
def test_a_first_step_too_long_for_pndm_is_eulers(end):
    made = compile_plan(get_sampler("pndm"), (point_at_lam(-2), end))
    assert made.rows == 1
