"""A log-SNR that is linear in time."""

from math import cos, expm1, log, pi

import numpy as np
import pytest

from dtool.schedulers import get_scheduler
from tests.support.schedules import log_snr


def test_vdm():
    for i in (0, 20, 49):
        u = (i + 1) / 50
        assert log_snr("vdm-linear:T=50")[i] == pytest.approx(-log(expm1(1e-4 + 10 * u * u)), rel=1e-12)
    own, cosine = get_scheduler("vdm-cosine").alpha_bar, get_scheduler("cosine").alpha_bar
    for i in (0, 500, 998):
        assert own[i] == pytest.approx(cos(((i + 1) / 1000 + 0.008) / 1.008 * pi / 2) ** 2, rel=1e-9)
    assert own[:-1] / cosine[:-1] == pytest.approx(np.full(999, cos(0.008 / 1.008 * pi / 2) ** 2), rel=1e-9)
