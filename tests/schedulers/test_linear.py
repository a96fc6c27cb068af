"""DDPM's linear β."""

import pytest

from dtool.schedulers import get_scheduler
from tests.support.schedules import alpha_bar


@pytest.mark.parametrize(("T", "scale"), [(1000, 1.0), (100, 10.0), (4000, 0.25)])
def test_linear(T, scale):  # noqa: N803
    betas = [scale * (1e-4 + (0.02 - 1e-4) * i / (T - 1)) for i in range(T)]
    table = get_scheduler("linear", T=T)
    assert table.alpha**2 == pytest.approx(alpha_bar(betas), rel=1e-12)
    assert table.sigma**2 == pytest.approx(1 - alpha_bar(betas), rel=1e-10)
    assert table.betas == pytest.approx(betas, rel=1e-9)


def test_linear_end_is_that_of_ddpm():
    table = get_scheduler("linear")
    assert table.alpha[-1] ** 2 == pytest.approx(4.04e-5, rel=2e-3)
    assert table.sigma[0] / table.alpha[0] == pytest.approx(0.0100, abs=1e-4)
    assert table.sigma[-1] / table.alpha[-1] == pytest.approx(157.4, abs=0.05)
