"""The intervals of the studentised bootstrap."""

import numpy as np
import pytest

from dtool.measure.bootstrap import resample_means, root_mean_interval


@pytest.mark.parametrize(("n", "skew"), [(16, 0.5), (64, 1.0), (16, 1.0)])
def test_the_interval_covers_the_truth(n, skew):
    random = np.random.default_rng(n)
    truth = np.exp(skew**2 / 4)
    runs = [root_mean_interval(np.exp(skew * random.standard_normal(n))) for _ in range(120)]
    covered = np.mean([low <= truth <= high for low, high in runs])
    assert 0.87 <= covered <= 0.995


def test_the_standard_error_of_a_resample_is_that_of_its_mean():
    """Each resample's error is the square root of its unbiased variance over n, against the draws written out."""
    n, values = 5, np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    means, errors = resample_means(values, seed=3)
    counts = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), len(means))
    drawn = [np.repeat(values, row) for row in counts]
    assert means == pytest.approx([draw.mean() for draw in drawn], rel=1e-12)
    assert errors == pytest.approx([draw.std(ddof=1) / np.sqrt(n) for draw in drawn], rel=1e-9, abs=1e-9)
