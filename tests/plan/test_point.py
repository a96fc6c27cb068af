"""Levels, nodes, and grids that can be walked."""

import math

import pytest

import dtool
from dtool.certify.grids import two_pass_grid
from dtool.errors import CompileError, UsageError
from dtool.plan import CLEAN, Node, Point
from dtool.plan import compile as compile_plan
from dtool.plan.point import iterate_intervals
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from tests.support.small_functions import grid_of, toy
from tests.support.steps import FAR, NEAR


@pytest.mark.parametrize(
    ("points", "cause"),
    [
        ((), "0 point"),
        ((FAR,), r"1 point\(s\) has no interval"),
        ((FAR, NEAR, NEAR, CLEAN), "points 1 and 2 are the same level"),
        ((FAR, Point(0.2, 1.98), CLEAN), "points 0 and 1 are the same level"),
        ((NEAR, FAR, CLEAN), "begins by going up"),
        ((FAR, NEAR, Point(0.4, 0.9)), "ends by going up"),
    ],
)
@pytest.mark.parametrize("token", ["ddim", "ddpm", "heun", "dpmpp-2m"])
def test_grids_that_cannot_be_walked(points, cause, token):
    with pytest.raises(CompileError, match=cause):
        compile_plan(get_sampler(token), points)


@pytest.mark.parametrize("level", [(-0.1, 1.0), (0.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_points_that_are_no_level(level):
    with pytest.raises(UsageError, match="no noise level"):
        Point(*level)


def test_either_prediction_follows_from_the_other():
    one, other = Node(NEAR, 1.0, x0=0.5), Node(NEAR, 1.0, eps=1.0)
    assert (one.eps, other.x0) == pytest.approx((1.0, 0.5))
    assert (one.v, one.t is not None, one.kept) == (pytest.approx(0.75), True, {})


def test_a_point_knows_its_schedule():
    levels = get_scheduler("cosine")
    point = grid_of(dtool.network(toy, shape=(3,), schedule="cosine"), 3)[0]
    assert point.schedule is not None
    assert point.schedule.hash == levels.hash
    assert point == Point(point.alpha, point.sigma, point.t)
    assert CLEAN.schedule is None


def test_intervals_say_how_many_steps_are_before_and_after_them():
    """An upward interval is no step, and after it they are counted anew."""
    points = two_pass_grid(4)
    intervals = list(iterate_intervals(points, inverse=False, skipped=3))
    assert [one.place for one in intervals if not one.upward] == [3, 4, 0, 1, 2]
    assert [one.left for one in intervals if not one.upward] == [4, 3, 2, 1, 0]
    assert [one.upward for one in intervals].count(True) == 1
    backwards = list(iterate_intervals(points[3:], inverse=True))
    assert [(one.place, one.left) for one in backwards] == [(0, 2), (1, 1), (2, 0)]
