"""The uniform law on a sphere: the law of a coordinate, and the network that knows only the direction."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from dtool.errors import UsageError
from dtool.plan import CLEAN, Point
from dtool.targets import target
from dtool.targets.sphere import SphereMarginal


@pytest.mark.parametrize("d", [2, 3, 4, 7, 64])
def test_a_coordinate_has_the_law_of_a_beta(d):
    """(t/R + 1)/2 ~ Beta((d-1)/2, (d-1)/2); of the sphere in three dimensions it is uniform (Archimedes)."""
    law, radius = SphereMarginal(d, 1.7), 1.7
    beta = stats.beta((d - 1) / 2, (d - 1) / 2, loc=-radius, scale=2 * radius)
    x = np.linspace(-1.7, 1.7, 41)
    assert law.cdf(x) == pytest.approx(beta.cdf(x), abs=1e-12)
    assert law.cdf([-9.0, 9.0]).tolist() == [0, 1]
    assert law.second_moment == pytest.approx(beta.moment(2), rel=1e-10)
    if d == 3:
        assert law.cdf(x) == pytest.approx((x / 1.7 + 1) / 2, abs=1e-12)


@pytest.mark.parametrize("d", [3, 4, 7])
def test_a_partial_expectation_is_the_integral_of_the_density(d):
    law = SphereMarginal(d, 1.7)
    for x in (-1.2, 0.3, 1.6):
        below = quad(lambda t: float(law.cdf(t)), -1.7, x, epsabs=1e-12)[0]
        assert law.partial_expectation(x) == pytest.approx(x * law.cdf(x) - below, abs=1e-9)  # by parts
    assert law.partial_expectation(9.0) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("token", ["sphere:d=2", "sphere:d=5"])
def test_the_predicted_image_is_the_mean_of_what_the_data_may_be(token):
    """E[x0 | x] by summing over a hundred thousand points of the sphere, each weighed by the density of its noise."""
    law, at = target(token), Point(0.7, 0.9)
    points = law.sample(100_000, 3)
    x = 0.8 * np.eye(points.shape[1])[:2]
    for one in x:
        weight = np.exp(-np.square(one - at.alpha * points).sum(axis=1) / (2 * at.sigma**2))
        mean = weight @ points / weight.sum()
        assert law.x0(one[None], at)[0] == pytest.approx(mean, abs=0.01)


def test_the_exact_map_keeps_the_direction_and_ends_on_the_sphere():
    law, start = target("sphere:d=4"), Point(0.05, 0.99)
    x = np.random.default_rng(0).standard_normal((9, 4))
    end = law.exact_map(x, start)
    length = np.linalg.norm(end, axis=1, keepdims=True)
    assert length == pytest.approx(np.full((9, 1), np.sqrt(4 * law.covariance[0, 0])), rel=1e-12)
    assert end / length == pytest.approx(x / np.linalg.norm(x, axis=1, keepdims=True), rel=1e-12)
    assert law.log_density(end, Point(1.0, 0.1)) == pytest.approx(np.full(9, law.log_density(end, Point(1.0, 0.1))[0]))
    with pytest.raises(UsageError, match="only down to the image"):
        law.exact_map(x, start, Point(0.9, 0.5))
    with pytest.raises(UsageError, match="no density without noise"):
        law.log_density(end, CLEAN)
