"""Figures of held-out noises: on errors that are known, and a floor that nothing goes below."""

import numpy as np

from dtool.fit.held_out import judge_rival, judge_walk, make_law, measure_floor
from dtool.fit.table import Walk
from dtool.measure.pooled_pixels import statistics

RANDOM = np.random.default_rng(0)


def test_a_ratio_of_errors_that_are_in_proportion_has_no_width():
    target = RANDOM.standard_normal((30, 5))
    off = RANDOM.standard_normal((30, 5))
    rival = judge_rival("ddim", 5, target + 2 * off, target + off, target)
    assert np.allclose([rival.ratio, rival.low, rival.high], 0.5)
    other = judge_rival("ddim", 5, target + RANDOM.standard_normal((30, 5)), target + off, target)
    assert other.low < other.ratio < other.high


def test_the_floor_is_below_the_error_and_zero_where_a_row_could_be_exact():
    before, entry = RANDOM.standard_normal((2, 12, 6))
    each = RANDOM.standard_normal((12, 1))
    target = each * before + 0.5 * entry
    walk = Walk(states=[before, 0.3 * before], entries=[entry])
    assert measure_floor(walk, target) < 1e-12, "another weight for each image"
    away = target + RANDOM.standard_normal(target.shape)
    assert 0 < measure_floor(walk, away) <= judge_walk(walk, away).rmse


def test_the_law_is_measured_where_there_is_one():
    real = RANDOM.uniform(-1, 1, (90, 1, 8, 8))
    law = make_law(statistics(real), (1, 8, 8))
    assert law(real) < 1e-9 < law(0.5 * real)
    assert make_law(None, (1, 8, 8)) is None
    assert make_law(None, (2,), real) is None
    walk = Walk(states=[real, 0.5 * real], entries=[real])
    judged = judge_walk(walk, real, law)
    assert np.isclose(judged.deviation, 0.5)
    assert judged.law > judged.teacher_law
