"""The β of latent diffusion."""

import pytest

from dtool.schedulers import get_scheduler
from tests.support.schedules import alpha_bar


def test_scaled_linear_is_that_of_latent_diffusion():
    betas = [(0.00085**0.5 + (0.012**0.5 - 0.00085**0.5) * i / 999) ** 2 for i in range(1000)]
    table = get_scheduler("scaled-linear")
    assert table.alpha**2 == pytest.approx(alpha_bar(betas), rel=1e-12)
    assert (table.sigma / table.alpha)[[0, -1]] == pytest.approx([0.0292, 14.615], abs=5e-3)
    assert get_scheduler("quadratic").hash == table.hash
