"""The sigmoid of β is another schedule than that of ᾱ."""

from math import exp

import pytest

from dtool.schedulers import get_scheduler


def test_sigmoid_beta_is_another_thing():
    betas = [1e-4 + (0.02 - 1e-4) / (1 + exp(-(-6 + 12 * i / 999))) for i in range(1000)]
    assert get_scheduler("sigmoid-beta").betas == pytest.approx(betas, rel=1e-8)
