"""Heun++ against its own loop."""

import numpy as np
import pytest

from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.two_gaussians import eps, posterior, ve


def test_heunpp2_is_its_loop_on_levels_even_in_lam():
    v = [p.v for p in ve(5.0, 0.1, 9, bend=0.0)]
    x = start = np.linspace(-5, 5, 7)
    for now, to, further in zip(v, v[1:], [*v[2:], v[-1] ** 2 / v[-2]], strict=False):
        d = posterior(x, now)
        second = x + (to - now) * d
        d2 = posterior(second, to)
        d3 = posterior(second + (further - to) * d2, further)
        w2, w3 = to / (3 * v[0]), further / (3 * v[0])
        x = x + (to - now) * ((1 - w2 - w3) * d + w2 * d2 + w3 * d3)
    assert run_eager(get_sampler("heunpp2"), ve(5.0, 0.1, 9, bend=0.0), eps, start) == pytest.approx(x, rel=1e-12)
