"""Orders above 4: rooted trees as fields."""

from dataclasses import replace

import numpy as np
import pytest

from dtool.certify.grids import by_v
from dtool.certify.order import global_slope, local_slope
from dtool.certify.rooted_trees import RootedTrees, list_trees
from dtool.plan import Point
from dtool.samplers import get_sampler
from dtool.samplers.engines.tableau import explicit
from tests.support.rules import examined


def test_the_trees_are_counted():
    """The numbers of rooted trees of 1, 2, … vertices are 1, 1, 2, 4, 9, 20, 48 (OEIS A000081)."""
    totals = [len(list_trees(order)) for order in range(1, 8)]
    assert np.diff(totals, prepend=0).tolist() == [1, 1, 2, 4, 9, 20, 48]


def test_the_solution_is_the_density_of_each_tree():
    """From 0 it is v^vertices/γ; γ of a tall tree is n!, of a bushy one n."""
    field = RootedTrees(4)
    end = field.transport(field.start(Point(1.0, 0.0)), Point(1.0, 1.0), Point(0.5, 1.5))
    trees = list_trees(4)
    assert end[trees.index(())] == pytest.approx(0.5 * 2)
    assert end[trees.index((0,))] == pytest.approx(0.5 * 2**2 / 2)
    assert end[trees.index((0, 0, 0))] == pytest.approx(0.5 * 2**4 / 4)
    assert end[trees.index((trees.index((trees.index((0,)),)),))] == pytest.approx(0.5 * 2**4 / 24)


def test_the_solution_is_that_of_the_ode_from_anywhere():
    field, now = RootedTrees(5), Point(1.0, 2.0)
    x = np.linspace(-1, 1, 17)
    ahead, behind = (field.transport(x, now, Point(1.0, 2.0 + h)) for h in (1e-5, -1e-5))
    np.testing.assert_allclose((ahead - behind) / 2e-5, field.eps(x, now), atol=1e-8)
    np.testing.assert_allclose(field.x0(x, now) + 2 * field.eps(x, now), x, atol=1e-15)
    there = field.transport(x, now, Point(0.3, 0.6))
    np.testing.assert_allclose(field.transport(there, Point(0.3, 0.6), now), x, atol=1e-12)


@pytest.mark.parametrize("name", ["dormand-prince", "tsitouras"])
def test_order_five_is_measured(name):
    assert global_slope(get_sampler(name)).value == pytest.approx(5, abs=1e-3), "on equal steps it is one power"
    assert local_slope(get_sampler(name)).value == pytest.approx(6, abs=1e-2)


def test_an_order_that_is_declared_too_high_is_found():
    """By the trees of the order that it lacks, whatever else its errors do."""
    rule = get_sampler("rk4")
    wrong = replace(rule, name="too-high", order=5, startup_order=5)
    found = examined(wrong, "order-local", "order-global", "order-shipped")
    assert [one.status for one in found.values()] == ["fail"] * 3
    assert global_slope(wrong).value == pytest.approx(4, abs=0.1)


def test_one_wrong_digit_is_found():
    third = explicit(
        "slip", "Dormand and Prince's, with a digit wrong.", order=5, cite="-",
        c=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1), b=(35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84), a=(
            (), (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5203 / 18656)),
    )  # fmt: skip
    assert {one.status for one in examined(third, "order-local", "order-global").values()} == {"fail"}


def test_the_grid_is_equal_in_v():
    assert [point.sigma for point in by_v(3, lead=1)] == pytest.approx([5, 4, 3, 2, 1])
