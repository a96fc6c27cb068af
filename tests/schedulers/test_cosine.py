"""The cosine schedule, and the cap on its β."""

from math import cos, pi

import pytest

from dtool.schedulers import get_scheduler


@pytest.mark.parametrize("T", [10, 1000])
def test_cosine(T):  # noqa: N803
    """ᾱ telescopes: β = 1 - f(t+1)/f(t), so that all but the capped last level are f(t+1)/f(0)."""
    table = get_scheduler("cosine", T=T)
    f = [cos((i / T + 0.008) / 1.008 * pi / 2) ** 2 for i in range(T + 1)]
    assert (table.alpha**2)[:-1] == pytest.approx([value / f[0] for value in f[1:-1]], rel=1e-9)
    assert table.betas[-1] == pytest.approx(0.999, rel=1e-9)
    assert (table.betas[:-1] < 0.999).all()


def test_cosine_cap():
    table = get_scheduler("cosine")
    assert table.alpha[-1] ** 2 == pytest.approx(2.4e-9, rel=0.02)
    assert table.sigma[-1] / table.alpha[-1] == pytest.approx(20291, rel=1e-3)
