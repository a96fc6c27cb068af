"""Network calls of a likelihood: batch invariance, labels, progress."""

import numpy as np

import dtool
from dtool.likelihood import bound
from tests.support.gaussian_data import LINEAR, gaussian_network

X = np.ones((2, 4))


def test_no_image_depends_on_its_company_and_the_seed_says_it_all():
    rng = np.random.default_rng(0)
    x = np.round(rng.uniform(0, 255, (70, 4))) / 127.5 - 1
    whole = bound(gaussian_network(), x, 6, variance="beta", seed=7)
    part = bound(gaussian_network(), x[60:65], 6, variance="beta", seed=7, ids=range(60, 65))
    assert np.array_equal(whole.per_image[:, 60:65], part.per_image)
    assert np.array_equal(
        whole.per_image, bound(gaussian_network(), x, 6, variance="beta", seed=7, batch_size=9).per_image
    )
    assert not np.array_equal(whole.per_image, bound(gaussian_network(), x, 6, variance="beta", seed=8).per_image)
    many = bound(gaussian_network(), x, 6, variance="beta", seed=7, repeats=20)
    assert abs(many.total - whole.total) < 5 * whole.se


def test_labels_reach_the_network():
    def fn(x, t, label):
        alpha, sigma = (v[:, None] for v in LINEAR.level(t))
        mean = np.array([-0.6, 0.6, 0.0])[label][:, None]
        return sigma * (x - alpha * mean) / (alpha**2 * 0.01 + sigma**2)

    network = dtool.network(fn, shape=(2,), classes=2)
    x = 0.6 + 0.1 * np.random.default_rng(0).standard_normal((30, 2))
    right, wrong, none = (
        bound(network, x, 20, variance="beta", labels=y, levels=None).total for y in (1, np.zeros(30, int), None)
    )
    assert right < none < wrong
