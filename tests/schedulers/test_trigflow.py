"""TrigFlow's circle."""

from math import cos, pi, sin

import pytest

from dtool.schedulers import get_scheduler


def test_trigflow():
    table = get_scheduler("trigflow", T=10)
    theta = [pi / 2 * (i + 1) / 10 for i in range(10)]
    assert table.alpha[:-1] == pytest.approx([cos(x) for x in theta[:-1]], rel=1e-12)
    assert table.sigma == pytest.approx([sin(x) for x in theta], rel=1e-12)
    assert table.alpha[-1] == 0
