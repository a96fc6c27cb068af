"""The times that a network is trained on have the distribution that they should have."""

from statistics import NormalDist

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dtool.training.times import TimeDistribution  # noqa: E402

COUNT = 200_000


def draw(times: TimeDistribution) -> np.ndarray:
    drawn = times.draw(COUNT, torch.Generator().manual_seed(0)).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < times.count
    return np.bincount(drawn, minlength=times.count) / COUNT


def test_uniform_times_are_equally_frequent() -> None:
    np.testing.assert_allclose(draw(TimeDistribution(10)), 0.1, atol=5 * np.sqrt(0.09 / COUNT))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-0.6, 0.5), (3.0, 2.0)])
def test_logit_normal_times_have_the_frequencies_of_the_distribution_function(mean: float, std: float) -> None:
    """P(share < s) = Φ((logit(s) - mean)/std)."""
    times = TimeDistribution(12, "logit-normal", mean, std)
    edges = np.arange(1, 12) / 12
    inner = [NormalDist(mean, std).cdf(float(np.log(s / (1 - s)))) for s in edges]
    expected = np.diff([0.0, *inner, 1.0])
    np.testing.assert_allclose(draw(times), expected, atol=5 * np.sqrt(0.25 / COUNT))


def test_a_huge_mean_stays_inside() -> None:
    assert draw(TimeDistribution(7, "logit-normal", 20.0, 20.0))[-1] > 0.5
