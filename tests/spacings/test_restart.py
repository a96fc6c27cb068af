"""Restart: up to a noisier level and down again."""

from itertools import pairwise

import numpy as np
import pytest

from dtool.plan import grid
from dtool.spacings import get_spacing
from tests.support.spacings import EDM, LINEAR, downs, v_of


def test_restart():
    """Each interval: from its top, three Karras steps to the level of the base that it began at; twice."""
    place = get_spacing("restart")
    points = grid(EDM, place, 24)
    base = grid(EDM, get_spacing("karras"), 18)
    assert downs(points) == 24
    v = v_of(points)
    ups = [i for i in range(1, len(v)) if v[i] > v[i - 1]]
    assert len(ups) == 2
    near = v_of(base)[np.argmin(np.abs(v_of(base)[:-1] - 0.06))]
    inside = [(0.3 ** (1 / 7) + i / 3 * (near ** (1 / 7) - 0.3 ** (1 / 7))) ** 7 for i in range(4)]
    for i in ups:
        assert v[i - 1] == pytest.approx(near, rel=1e-9)
        assert v[i : i + 4] == pytest.approx(inside, rel=1e-6)
    kept = [*v[: ups[0]], *v[ups[1] + 4 :]]
    assert kept == pytest.approx(v_of(base), rel=1e-9), "without the detours it is the base"


def test_restart_with_several_intervals():
    place = get_spacing("restart:intervals=2x1x0.1x0.5;4x3x1x10,base=logsnr")
    points = grid(LINEAR, place, 40)
    assert downs(points) == 40
    v = v_of(points)
    assert sum(b > a for a, b in pairwise(v)) == 4
    assert get_spacing(place.token).options == place.options
