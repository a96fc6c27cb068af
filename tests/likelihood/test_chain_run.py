"""Walking images along a chain: every network call, and what it predicts."""

import numpy as np

from dtool.likelihood import VARIANCES, bound
from tests.support.gaussian_data import gaussian_network

X = np.ones((2, 4))


def test_clipping_is_the_networks_habit_unless_said_otherwise():
    x = np.full((3, 4), 1.0)
    network = gaussian_network(4.0, clip=True)
    plain, clipped = (bound(gaussian_network(4.0), x, 9, variance="beta", clip=c).total for c in (False, True))
    assert bound(network, x, 9, variance="beta").total == clipped != plain


def test_progress_counts_every_call():
    seen = []
    bound(gaussian_network(1.0), X, 9, variance="analytic", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 18) for i in range(1, 19)]
    assert VARIANCES == ("beta", "tilde", "analytic", "learned")
