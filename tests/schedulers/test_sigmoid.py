"""The sigmoid of ᾱ."""

from math import tanh

import pytest

from dtool.schedulers import get_scheduler


def test_sigmoid():
    """Chen's ᾱ(u) = (s(3) - s(6u - 3)) / (s(3) - s(-3)), with s(y) = (1 + tanh(y/2))/2."""
    table = get_scheduler("sigmoid", T=100)
    s = lambda y: (1 + tanh(y / 2)) / 2  # noqa: E731
    expected = [(s(3) - s(6 * (i + 1) / 100 - 3)) / (s(3) - s(-3)) for i in range(99)]
    assert (table.alpha**2)[:-1] == pytest.approx(expected, rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)
