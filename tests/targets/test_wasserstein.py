"""The 2-Wasserstein distance to a target."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from dtool.targets import target


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w2_to_two_points_is_the_best_assignment(seed):
    law = target("two-diracs:d=3,share=0.25")
    x = np.random.default_rng(seed).standard_normal((16, 3))
    points = np.repeat(law.means, [12, 4], axis=0)
    cost = ((x[:, None] - points) ** 2).sum(axis=-1)
    best = np.sqrt(cost[linear_sum_assignment(cost)].mean())
    assert law.w2(x).value == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("token", ["gaussian:d=4,condition=7", "gmm:d=3", "sphere:d=2", "sphere:d=5", "digits-gmm"])
def test_w2_knows_a_shift_and_never_exceeds_it(token):
    law = target(token)
    x = law.sample(600, 7)
    shift = np.full(law.shape, 0.3)
    found, moved = law.w2(x), law.w2(x + shift)
    assert not found.exact
    assert found.value < 2.5 * found.floor
    assert found.floor < moved.value < np.linalg.norm(shift) + found.floor
    if token.startswith("gaussian"):
        assert moved.value == pytest.approx(np.linalg.norm(shift), rel=0.1)


@pytest.mark.parametrize("token", ["gmm:d=2", "two-diracs", "digits-gmm", "sphere:d=3"])
def test_the_spread_of_w2_is_that_of_other_draws(token):
    law = target(token)
    distances = [law.w2(1.1 * law.sample(100, seed)) for seed in range(12)]
    spread = np.std([one.value for one in distances], ddof=1)
    assert 0.4 < np.median([one.sd for one in distances]) / spread < 2.5
    assert distances[0].floor_sd == distances[1].floor_sd > 0
