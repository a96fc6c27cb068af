"""The statistics of paired distances to a solution."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.compare.paired_errors import error_difference, measure_error, paired_p_value, squared_errors
from dtool.errors import UsageError


@pytest.mark.parametrize("n", [6, 16])
def test_a_recipe_that_is_nearer_on_every_image_is_surely_nearer(n):
    random = np.random.default_rng(n)
    far = random.standard_normal((n, 4)) * np.exp(random.standard_normal((n, 1)))
    near = 0.7 * far * np.exp(0.05 * random.standard_normal((n, 1)))
    assert paired_p_value(near, far, np.zeros((n, 4))) < 1e-4
    assert paired_p_value(far, far, np.zeros((n, 4))) == 1
    assert paired_p_value(near[:1], far[:1], np.zeros((1, 4))) == 1


def test_chance_is_student_s():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    for n in (2, 3, 8, 40):
        a, b = np.exp(random.standard_normal((2, n, 1)))
        expected = stats.ttest_rel(2 * np.log(a), 2 * np.log(b)).pvalue[0]
        assert paired_p_value(a, b, np.zeros((n, 1))) == pytest.approx(expected, rel=1e-4)


def rms(difference_of_arrays):
    return float(np.sqrt(np.mean(difference_of_arrays**2)))


@pytest.mark.parametrize("seed", [0, 1])
def test_rmse_and_psnr(seed):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((2, 12, 3, 4))
    error = measure_error(a, b, 0.01, (-1.0, 1.0))
    assert error.rmse == pytest.approx(rms(a - b))
    assert error.psnr == pytest.approx(10 * np.log10(4 / np.mean((a - b) ** 2)))
    assert error.low < error.rmse < error.high
    assert error.judged
    same = measure_error(a, a, 0.01, (-1.0, 1.0))
    assert (same.rmse, same.psnr, same.low, same.high, same.judged) == (0, None, 0, 0, False)
    one = measure_error(a[:1], b[:1], 0.0, (-1.0, 1.0))
    assert (one.low, one.high) == (None, None)
    with pytest.raises(UsageError, match="against a solution"):
        squared_errors(a, b[:3])


def test_equal_recipes_are_not_told_apart_and_a_worse_one_is():
    random = np.random.default_rng(5)
    solution = np.zeros((32, 16))
    verdicts = []
    for _ in range(200):
        a, b = 0.1 * random.standard_normal((2, 32, 16))
        verdicts.append(error_difference(a, b, solution).apart)
    assert np.mean(verdicts) <= 0.1
    common = 0.1 * random.standard_normal((32, 16))
    worse = error_difference(1.03 * common + 0.01 * random.standard_normal((32, 16)), common, solution)
    assert worse.apart
    assert worse.low > 0
    assert worse.value == pytest.approx(0.03 * rms(common), rel=0.5)
    same = error_difference(common, common, solution)
    assert (same.value, same.apart) == (0, False)
    with pytest.raises(UsageError, match="one image"):
        error_difference(common[:1], common[:1], solution[:1])
