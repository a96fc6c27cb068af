"""The cosine schedule, shifted for the resolution."""

from math import atan, exp, log, tan

import pytest

from tests.support.schedules import log_snr


@pytest.mark.parametrize(("image_d", "noise_d"), [(64, 64), (256, 32), (32, 64)])
def test_simple_diffusion(image_d, noise_d):
    found = log_snr(f"simple-diffusion:image_d={image_d},noise_d={noise_d}")
    low, high = atan(exp(-7.5)), atan(exp(7.5))
    for i in (0, 400, 999):
        plain = -2 * log(tan(low + (i + 1) / 1000 * (high - low)))
        assert found[i] == pytest.approx(plain + 2 * log(noise_d / image_d), abs=1e-9)
    assert found[-1] == pytest.approx(-15 + 2 * log(noise_d / image_d), abs=1e-9)
