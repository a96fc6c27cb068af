import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.measure.frechet import fit_gaussian
from dtool.measure.moments import Moments, merge_moments


def test_merged_moments_are_those_of_all_rows_far_from_zero_too():
    rows = np.random.default_rng(0).standard_normal((1003, 7)) @ np.diag(np.arange(1, 8.0)) + 1e4
    mean, covariance = merge_moments(Moments.of(rows[i : i + 50]) for i in range(0, 1003, 50)).fit_gaussian()
    wanted_mean, wanted = fit_gaussian(rows)
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-14)
    np.testing.assert_allclose(covariance, wanted, rtol=1e-12, atol=1e-12 * wanted.max())


def test_one_row_has_no_covariance():
    with pytest.raises(UsageError, match="one sample has no covariance"):
        Moments.of(np.zeros((1, 3))).fit_gaussian()
    both = Moments.of(np.array([[1.0]])).merge(Moments.of(np.array([[3.0]])))
    assert both.fit_gaussian()[1].tolist() == [[2.0]]
