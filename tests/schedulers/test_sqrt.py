"""Diffusion-LM's square root."""

from math import sqrt

import pytest

from dtool.schedulers import get_scheduler


def test_sqrt():
    table = get_scheduler("sqrt", T=100)
    assert table.alpha_bar[:-1] == pytest.approx([1 - sqrt((i + 1) / 100 + 1e-4) for i in range(99)], rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)
