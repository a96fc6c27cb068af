"""Mixtures with classes."""

import numpy as np
import pytest
from scipy import special

from dtool.plan import Point
from dtool.targets import target
from tests.support.target_draws import draw_noisy


@pytest.mark.parametrize("digit", [0, 7])
def test_a_class_is_a_law_of_its_own(digit):
    law = target("digits-gmm")
    at = Point(0.9, 0.4)
    x = draw_noisy(law, at, 5, 3)
    way = np.random.default_rng(4).standard_normal(x.shape)
    label = np.full(5, digit)
    h = 1e-5
    slope = (law.log_density(x + h * way, at, label) - law.log_density(x - h * way, at, label)) / (2 * h)
    np.testing.assert_allclose(
        -(law.eps(x, at, label) * way).reshape(5, -1).sum(axis=1) / at.sigma, slope, rtol=1e-5, atol=1e-4
    )
    none = np.full(5, law.classes)
    np.testing.assert_array_equal(law.eps(x, at, none), law.eps(x, at))
    own, others = law.sample(50, 0, labels=digit), law.sample(50, 0, labels=(digit + 1) % 10)
    assert (law.log_density(own, label=digit) > law.log_density(own, label=(digit + 1) % 10)).mean() > 0.95
    assert (law.log_density(others, label=digit) < law.log_density(others, label=(digit + 1) % 10)).mean() > 0.95


def test_the_law_is_the_mean_of_its_classes():
    law = target("digits-gmm")
    x = law.sample(20, 5)
    parts = np.array([law.log_density(x, label=digit) for digit in range(10)])
    shares = np.array([law.weights[law.of_class == digit].sum() for digit in range(10)])
    np.testing.assert_allclose(special.logsumexp(parts, axis=0, b=shares[:, None]), law.log_density(x), rtol=1e-10)
