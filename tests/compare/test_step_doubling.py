"""Solves with twice the steps: when they stop, and what they say of themselves."""

import numpy as np
import pytest

from dtool.compare.step_doubling import LEAST, StepDoubling
from dtool.plan import CLEAN, Point
from dtool.targets import target


def script(values):
    """A network whose range is 2 wide, and solves between two of its levels that draw these numbers in turn."""
    network = target("gaussian").network()
    drawn = iter(values)
    low, high = network.spec.data_range
    assert high - low == 2
    start = Point(float(network.schedule.alpha[-1]), float(network.schedule.sigma[-1]))
    return StepDoubling(
        network, lambda plan: np.full((1, 1), next(drawn)), start, CLEAN, tolerance=0.05, most=8 * LEAST
    )


def test_steps_double_until_the_images_stay_within_the_tolerance():
    doubling = script([0.0, 0.5, 0.7, 0.79])
    solution = doubling.converge()
    assert [steps for steps, _ in solution.history] == [2 * LEAST, 4 * LEAST, 8 * LEAST]
    assert [error for _, error in solution.history] == pytest.approx([0.5, 0.2, 0.09])
    assert solution.ok
    assert solution.error == pytest.approx(0.09)
    assert solution.images[0, 0] == 0.79
    assert solution.steps == 8 * LEAST
    assert solution.calls == (1 + 2 + 4 + 8) * LEAST


def test_at_the_most_steps_they_stop_and_say_that_it_is_not_enough():
    solution = script([0.0, 1.0, 2.0, 2.5]).converge()
    assert solution.steps == 8 * LEAST
    assert not solution.ok
    assert solution.reason == f"its error is 0.5 after {8 * LEAST} steps, above 0.1"


def test_an_error_that_rises_is_no_convergence():
    doubling = script([0.0, 0.01, 0.05])
    assert doubling.converge().ok
    doubling.double()
    assert not doubling.solution().ok
    assert doubling.solution().reason == f"its error rose to 0.04 with {4 * LEAST} steps"
