"""The Fréchet distance, extrapolated."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.metrics.frechet import extrapolated_distance, plain_distance


def test_the_extrapolated_distance_does_not_depend_on_n():
    """The plain distance of n from one law is about b/n; what is extrapolated is 0 on average, and right elsewhere."""
    random, d = np.random.default_rng(0), 6
    for scale, wanted in ((1.0, 0.0), (1.3, d * 0.09)):
        got, rough = np.array(
            [
                (extrapolated_distance(x, y), plain_distance(x, y))
                for x, y in (
                    (scale * random.standard_normal((120, d)), random.standard_normal((150, d))) for _ in range(150)
                )
            ]
        ).T
        assert abs(got.mean() - wanted) < 4 * got.std() / np.sqrt(got.size) + 0.004
        assert rough.mean() - wanted > 5 * abs(got.mean() - wanted)


@pytest.mark.parametrize(("n", "parts"), [(16, 2), (24, 3), (31, 3), (32, 4), (99, 4)])
def test_the_line_goes_through_parts_of_two_images_per_feature(n, parts):
    random, d = np.random.default_rng(1), 4
    x, y = random.standard_normal((n, d)), random.standard_normal((n, d))
    order = np.random.default_rng(0)
    x_mixed, y_mixed = x[order.permutation(n)], y[order.permutation(n)]
    means = [np.mean([plain_distance(x_mixed[i::k], y_mixed[i::k]) for i in range(k)]) for k in range(1, parts + 1)]
    assert extrapolated_distance(x, y) == pytest.approx(np.polyfit(range(1, parts + 1), means, 1)[1], rel=1e-6)


def test_too_few_images_are_not_extrapolated():
    x = np.random.default_rng(1).standard_normal((15, 4))
    with pytest.raises(UsageError, match="15 images are too few to extrapolate the Fréchet distance of 4 features"):
        extrapolated_distance(x, x + 1)
