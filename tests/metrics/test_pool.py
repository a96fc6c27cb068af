"""Distances between points of a pool."""

import numpy as np
import pytest

from dtool.metrics import resolve_metric
from dtool.metrics.pool import KEPT, Pool, typical_distance
from tests.support.point_sets import draw_sets


def test_a_large_pool_is_worked_off_in_pieces(monkeypatch):
    x, y = draw_sets(7, 300, 400)
    whole = {name: resolve_metric(name)(x, y) for name in ("mmd", "energy", "density", "recall")}
    monkeypatch.setattr("dtool.metrics.pool.KEPT", 100)
    monkeypatch.setattr("dtool.metrics.pool.BLOCK", 5000)
    assert KEPT > 700
    assert {name: pytest.approx(resolve_metric(name)(x, y), rel=1e-12) for name in whole} == whole


def test_equal_points_have_no_distance():
    random = np.random.default_rng(0)
    points = np.repeat(1000 + random.standard_normal((4, 300)), 3, axis=0)
    squares = Pool(points, 1.0).squared_distances(np.arange(12))
    assert ((squares == 0) == (np.arange(12)[:, None] // 3 == np.arange(12) // 3)).all()
    assert typical_distance(np.zeros((9, 2))) == 0
    assert typical_distance(np.repeat([[0.0], [2.0]], [8, 2], axis=0)) == 2, "most are equal: the others count"
