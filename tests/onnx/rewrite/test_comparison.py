import numpy as np

from dtool.onnx.rewrite.comparison import TOLERANCE, are_equal, measure_difference


def test_a_difference_is_a_share_of_numbers_above_one():
    assert measure_difference(np.array([0.5]), np.array([0.75])) == 0.25
    assert measure_difference(np.array([-8.0, 1]), np.array([-8.0, 2])) == 0.125


def test_nan_is_equal_to_nothing():
    nan = np.array([np.nan])
    assert not are_equal([nan], [nan])
    assert are_equal([np.ones(1)], [np.ones(1) + 0.5 * TOLERANCE])
    assert not are_equal([np.ones(1), np.ones(1)], [np.ones(1), np.ones(1) + 2 * TOLERANCE])
