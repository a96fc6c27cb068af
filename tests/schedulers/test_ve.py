"""The variance-exploding SDE: σ is a geometric sequence."""

import pytest

from dtool.schedulers import get_scheduler


def test_ve_is_geometric():
    table = get_scheduler("ve:T=30,sigma_min=0.02,sigma_max=100")
    assert table.sigma == pytest.approx([0.02 * (100 / 0.02) ** (i / 29) for i in range(30)], rel=1e-12)
