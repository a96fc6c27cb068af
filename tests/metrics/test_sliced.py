"""The sliced Wasserstein distance against POT."""

import numpy as np
import pytest

from dtool.metrics import resolve_metric
from dtool.metrics.sliced import draw_directions, sliced_distance
from tests.support.point_sets import draw_sets

SEEDS = (0, 1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 55), (7, 30)])
def test_sliced_w2_is_pots(seed, n, m):
    ot = pytest.importorskip("ot")
    x, y = draw_sets(seed, n, m)
    wanted = ot.sliced_wasserstein_distance(x, y, projections=draw_directions(4, 200))
    assert resolve_metric("sliced-w2")(x, y) == pytest.approx(wanted, rel=1e-9)
    line = sliced_distance(np.sort(x[:, :1], axis=0), np.sort(y[:, :1], axis=0))
    assert line == pytest.approx(np.sqrt(ot.wasserstein_1d(x[:, 0], y[:, 0], p=2)), rel=1e-9)


@pytest.mark.parametrize("d", [1, 3, 50])
def test_directions_are_unit_vectors(d):
    directions = draw_directions(d, 200)
    assert directions.shape == (d, 200)
    assert np.linalg.norm(directions, axis=0) == pytest.approx(np.ones(200), rel=1e-12)
    assert abs(directions.mean(axis=1)).max() < 5 / np.sqrt(200 * d)
