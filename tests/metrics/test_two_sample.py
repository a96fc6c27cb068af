"""MMD² and the energy distance against their definitions and other libraries."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel

from dtool.metrics import resolve_metric
from dtool.metrics.two_sample import cubic_kernel, pool_pair, u_statistic
from tests.support.point_sets import draw_sets, u_statistic_by_definition

SEEDS = (0, 1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_mmd_is_the_u_statistic_of_scikit_learns_kernel(seed):
    x, y = draw_sets(seed)
    scale = np.median(cdist(y, y)[np.triu_indices(len(y), 1)])
    wanted = np.mean(
        [
            u_statistic_by_definition(lambda a, b, w=w: rbf_kernel(a, b, 0.5 / (w * scale) ** 2), x, y)
            for w in (0.5, 1, 2)
        ]
    )
    assert resolve_metric("mmd")(x, y) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_is_the_u_statistic_of_distances(seed):
    x, y = draw_sets(seed)
    assert resolve_metric("energy")(x, y) == pytest.approx(
        u_statistic_by_definition(lambda a, b: -cdist(a, b), x, y), abs=1e-10
    )
    x, y = x[:, :1], y[:, :1]
    biased = stats.energy_distance(x[:, 0], y[:, 0]) ** 2  # its pairs include each point with itself
    inner = (cdist(x, x).mean() / (len(x) - 1)) + (cdist(y, y).mean() / (len(y) - 1))
    assert resolve_metric("energy")(x, y) == pytest.approx(biased - inner, abs=1e-10)


def test_unbiased_means_unbiased():
    """Tiny sets of known laws: of two Gaussians on a line, energy distance and MMD² have closed forms."""
    random, times, shift, n = np.random.default_rng(3), 3000, 0.8, 4
    values = np.array(
        [
            (resolve_metric("energy")(random.standard_normal((n, 1)) + s, random.standard_normal((n, 1))))
            for s in (0.0, shift)
            for _ in range(times // 2)
        ]
    ).reshape(2, -1)

    def folded(mean):  # E|N(mean, 2)|
        return 2 * np.exp(-(mean**2) / 4) / np.sqrt(np.pi) + mean * (1 - 2 * stats.norm.cdf(-mean / np.sqrt(2)))

    for got, mean in zip(values, (0.0, shift), strict=True):
        wanted = 2 * folded(mean) - 2 * folded(0.0)
        assert abs(got.mean() - wanted) < 4 * got.std() / np.sqrt(got.size)
    got = []
    for _ in range(times // 2):
        x, y = random.standard_normal((n, 1)) + shift, random.standard_normal((n + 2, 1))
        pool, a, b = pool_pair(x, y)
        pool.scale = 1.0
        got.append(resolve_metric("mmd").with_engine(pool)(a, b)[0])

    def mean_kernel(apart, s):  # E exp(-(N(apart, 2))² / 2s²)
        return s / np.sqrt(s * s + 2) * np.exp(-(apart**2) / (2 * (s * s + 2)))

    wanted = np.mean([2 * mean_kernel(0, s) - 2 * mean_kernel(shift, s) for s in (0.5, 1, 2)])
    assert abs(np.mean(got) - wanted) < 4 * np.std(got) / np.sqrt(len(got))


def test_the_polynomial_kernel_is_kids():
    x, y = draw_sets(1)
    pool, a, b = pool_pair(x, y)
    wanted = u_statistic_by_definition(lambda u, v: (u @ v.T / 4 + 1) ** 3, x, y)
    assert u_statistic(pool, cubic_kernel(pool))(a, b)[0] == pytest.approx(wanted, rel=1e-10)
