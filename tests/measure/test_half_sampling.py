"""Random halves: the spread of a statistic from draw to draw, from one set of samples alone."""

import numpy as np
import pytest

from dtool.measure.half_sampling import draw_halves, half_sampling_std, recentred_interval


@pytest.mark.parametrize("n", [100, 401])
def test_the_spread_of_a_mean_is_its_standard_error(n):
    samples = np.random.default_rng(n).standard_normal(n)
    error = samples.std(ddof=1) / np.sqrt(n)
    assert half_sampling_std(lambda part: float(part.mean()), samples, 2000) == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize("count", [6, 7])
def test_halves_are_of_the_points_asked_for_and_odd_counts_are_rounded_in_turn(count):
    masks = draw_halves(np.random.default_rng(0), 2, count, 12, 400)
    assert not masks[:, :2].any()
    assert not masks[:, 2 + count :].any()
    assert set(masks[::2].sum(axis=1)) == {count // 2}
    assert set(masks[1::2].sum(axis=1)) == {(count + 1) // 2}
    assert masks.mean(axis=0)[2 : 2 + count] == pytest.approx(0.5, abs=0.1)


def test_an_interval_is_moved_to_its_value_and_that_of_a_share_stays_between_0_and_1():
    values = np.random.default_rng(1).normal(3.0, 1.0, 4000)
    assert recentred_interval(values, 10.0) == pytest.approx((10 - 1.96, 10 + 1.96), abs=0.1)
    low, high = recentred_interval(np.full(50, 0.98), 1.0, count=20)
    assert high == 1
    assert low < 0.9, "as wide as Wilson's, although the halves are all alike"
