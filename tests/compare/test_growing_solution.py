"""The solution for more and more images."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.compare.growing_solution import PROBED, ROUGH, GrowingSolutions
from dtool.compare.solver import ReferenceSolutions
from dtool.targets import target


@pytest.fixture
def growing():
    """(the network, its growing solutions, the ids and steps that were solved)."""
    network, asked = target("gmm:d=2").network(), []

    class Watched(ReferenceSolutions):
        def solve(self, plan, steps):
            asked.append((self._options["ids"], steps))
            return super().solve(plan, steps)

    def make(ids):
        return Watched(network, ids=ids, seed=5, tolerance=ROUGH, most=512)

    return network, GrowingSolutions(make), asked


def test_the_first_images_are_solved_with_an_error_and_the_others_once(growing):
    network, solutions, asked = growing
    plan = dtool.plan("ddim", steps=3, network=network)
    few = solutions.take(plan, 3)
    assert asked == []
    all_images = solutions.take(plan, 20)
    steps = solutions.probed.solution(plan).steps
    assert asked == [(range(PROBED, 20), steps)]
    np.testing.assert_array_equal(few, all_images[:3])
    np.testing.assert_array_equal(solutions.take(plan, 12), all_images[:12])
    solutions.take(plan, 32)
    assert asked[1:] == [(range(20, 32), steps)]
    whole = ReferenceSolutions(network, n=20, seed=5, most=1024, tolerance=1e-4).solution(plan)
    error = solutions.probed.solution(plan).error
    assert np.sqrt(np.mean((whole.images - all_images) ** 2)) < 2 * error


def test_a_plan_that_comes_near_has_a_finer_solution_for_all_images(growing):
    network, solutions, asked = growing
    rough, near = (dtool.plan("dpmpp-2m/logsnr", steps=steps, network=network) for steps in (3, 48))
    solutions.take(rough, 16)
    before = solutions.probed.solution(rough).steps
    images = dtool.sample(network, near, n=16, seed=5).x0
    error = solutions.judge(near, images)
    after = solutions.probed.solution(rough).steps
    assert error.judged
    assert after > before
    assert asked[-1] == (range(PROBED, 16), after)
    fine = ReferenceSolutions(network, n=16, seed=5, most=1024, tolerance=1e-5).solution(near)
    assert error.rmse == pytest.approx(np.sqrt(np.mean((images - fine.images) ** 2)), rel=0.15)
