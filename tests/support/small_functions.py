"""Small functions as networks, and grids for them."""

import numpy as np

from dtool.plan import Point


def flow_points(times):
    return tuple(Point(1 - s, s) for s in times)


def falling(seed, n, low=0.0, high=1.0):
    return np.sort(np.random.default_rng(seed).uniform(low, high, n))[::-1]


def toy(x, t):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return 0.5 * x + 0.6 * np.sin(2 * x) * (1.2 - level)


def grid_of(net, steps):
    from dtool.plan import grid
    from dtool.spacings import get_spacing

    return grid(net.schedule, get_spacing("trailing"), steps)
