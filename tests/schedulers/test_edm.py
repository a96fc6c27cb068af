"""EDM's levels."""

import numpy as np
import pytest

from dtool.schedulers import get_scheduler


def test_edm_is_karras_spaced():
    table = get_scheduler("edm", T=40)
    assert (table.alpha == 1).all()
    assert table.sigma[[0, -1]] == pytest.approx([0.002, 80], rel=1e-12)
    gaps = np.diff(table.sigma ** (1 / 7))
    assert gaps == pytest.approx(np.full(39, gaps[0]), rel=1e-9)
    assert get_scheduler("edm", T=1).sigma == pytest.approx([80], rel=1e-12), "one level is the noisiest"
