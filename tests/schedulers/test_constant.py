"""A constant β, and an exponential ᾱ."""

from math import exp

import numpy as np
import pytest

from dtool.schedulers import get_scheduler


def test_const_and_exp():
    assert get_scheduler("const").betas == pytest.approx(np.full(1000, 0.02), rel=1e-9)
    assert get_scheduler("const:T=100,beta=0.01").betas == pytest.approx(np.full(100, 0.1), rel=1e-9)
    for total in (1, 10, 1000):
        alpha_bar = get_scheduler("exp", T=total).alpha_bar
        assert alpha_bar == pytest.approx([exp(-12 * (i + 1) / total) for i in range(total)], rel=1e-9)
