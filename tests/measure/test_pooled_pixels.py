"""Pooled pixels, and the distance of a set of images to their statistics."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.measure.frechet import fit_gaussian
from dtool.measure.pooled_pixels import choose_grid, distance, floors, pool_pixels, statistics
from tests.support.commandline import SHAPE, network


def test_the_distance_of_a_data_set_to_itself_is_nothing_and_grows_with_a_shift():
    images = np.random.default_rng(2).standard_normal((200, *SHAPE))
    own = statistics(images)
    assert distance(images, own) == pytest.approx(0, abs=1e-9)
    assert distance(images + 0.5, own) == pytest.approx(0.25 * len(own.mean), rel=1e-9)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 7), (1, 5, 11), (1, 2, 3)])
def test_pooling_is_torch_s_adaptive_average(shape):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(3).standard_normal((4, *shape)).astype(np.float32)
    place = choose_grid(shape)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(images), place).flatten(1)
    np.testing.assert_allclose(pool_pixels(images, place), expected.numpy(), atol=1e-6)


def test_the_floor_falls_with_n_and_depends_on_nothing_else():
    reference = network().spec.statistics
    means = [floors(reference, n).mean() for n in (8, 64, 512)]
    assert means[0] > means[1] > means[2] > 0
    assert floors(reference, 64).mean() == means[1]


def test_what_cannot_be_measured_is_refused():
    reference = statistics(np.random.default_rng(5).standard_normal((50, *SHAPE)))
    with pytest.raises(UsageError, match="one sample has no covariance"):
        fit_gaussian(np.zeros((1, 3)))
    with pytest.raises(UsageError, match="192 features, the reference 64"):
        distance(np.zeros((4, 3, 12, 10)) + np.arange(4).reshape(4, 1, 1, 1), reference)
    with pytest.raises(UsageError, match="no pictures"):
        statistics(np.zeros((4, 7)))
