"""Density, precision, recall and coverage against their definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dtool.metrics import resolve_metric
from tests.support.point_sets import draw_sets

SEEDS = (0, 1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_its_kin_are_what_the_papers_say(seed, k):
    x, y = draw_sets(seed)
    real, mine, across = cdist(y, y), cdist(x, x), cdist(y, x)
    ball = np.sort(real, axis=1)[:, k]
    own = np.sort(mine, axis=1)[:, k]
    inside = across <= ball[:, None]
    wanted = {
        "precision": inside.any(axis=0).mean(),
        "density": inside.sum() / (k * len(x)),
        "coverage": inside.any(axis=1).mean(),
        "recall": (across <= own[None]).any(axis=1).mean(),
    }
    for name, value in wanted.items():
        assert resolve_metric(name, k=k)(x, y) == pytest.approx(value, abs=1e-12), name
