"""Mixtures on a line."""

import numpy as np
import pytest

from dtool.targets import target


@pytest.mark.parametrize("token", ["gmm:d=1,k=3", "gaussian:mean=0.1"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w2_on_a_line_is_the_integral_of_quantiles(token, seed):
    law = target(token)
    x = np.random.default_rng(seed).uniform(-1, 1, (7, 1))
    line, ordered = law.project(np.ones(1)), np.sort(x[:, 0])
    u = (np.arange(28000) + 0.5) / 28000
    parts = (np.repeat(ordered, 4000) - line.quantile(u)) ** 2
    distance = law.w2(x)
    assert distance.exact
    assert distance.value == pytest.approx(np.sqrt(parts.mean()), rel=1e-4)
