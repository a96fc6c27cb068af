"""λ of a Laplace law."""

from math import log

import numpy as np
import pytest

from tests.support.schedules import log_snr


def test_laplace():
    found = log_snr("laplace:T=10,mu=0.3,b=0.7")
    u = [(i + 0.5) / 10 for i in range(10)]
    expected = [0.3 - 0.7 * (1 if x < 0.5 else -1) * log(1 - 2 * abs(x - 0.5)) for x in u]
    assert found == pytest.approx(expected, rel=1e-12)
    assert (np.diff(log_snr("laplace")) < 0).all()
    assert log_snr("laplace") == pytest.approx(-log_snr("laplace")[::-1], abs=1e-9), "symmetric about mu = 0"
