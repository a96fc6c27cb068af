"""Damped steps: without damping they solve a linear problem, and trust follows what they did."""

import numpy as np

from dtool.fit.damping import FIRST, Damping, solve_damped


def test_a_step_without_damping_solves_a_linear_problem():
    random = np.random.default_rng(0)
    jacobian, wanted = random.standard_normal((3, 40)), np.array([1.0, -2.0, 1e-3])
    assert np.abs(solve_damped(jacobian, -wanted @ jacobian, 0.0) - wanted).max() < 1e-9
    short = solve_damped(jacobian, -wanted @ jacobian, 10.0)
    assert np.linalg.norm(short) < 0.2 * np.linalg.norm(wanted)
    assert solve_damped(np.zeros((2, 5)), np.ones(5), 1e-2).tolist() == [0, 0], "what moves nothing is not moved"


def test_trust_grows_with_good_steps_and_falls_with_bad_ones():
    damping = Damping()
    assert list(damping.levels()) == [FIRST, 10 * FIRST, 100 * FIRST, 1000 * FIRST]
    assert not damping.judge(FIRST, False)
    assert damping.level == 10 * FIRST
    assert damping.judge(10 * FIRST, True)
    assert np.isclose(damping.level, FIRST)
