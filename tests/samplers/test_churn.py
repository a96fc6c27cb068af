"""EDM's stochastic sampler against its algorithm."""

from math import sqrt

import numpy as np
import pytest

from dtool.certify.grids import by_lam
from dtool.certify.identities import rule_distance
from dtool.plan import Point, run_eager
from dtool.samplers import get_sampler
from tests.support.two_gaussians import eps, posterior


def test_churn_of_one_is_ddpm_while_gamma_is_small_enough():
    assert rule_distance(get_sampler("edm-euler:churn=1"), get_sampler("ddpm"), by_lam(64)) <= 1e-9
    assert rule_distance(get_sampler("edm-euler:churn=1"), get_sampler("ddpm"), by_lam(8)) > 1e-3


@pytest.mark.parametrize("token", ["edm-euler", "edm-heun"])
@pytest.mark.parametrize("seed", range(3))
def test_churn_is_algorithm_2_of_edm(token, seed):
    """EDM's loop as the paper has it, on EDM's levels t: ours is the same, draw for draw, on the levels t̂."""
    rng = np.random.default_rng(seed)
    gamma, s_min, s_max, s_noise = 0.2, 0.3, 4.0, 1.05
    t = [9.0, 6.5, *np.cumprod([3.9, *rng.uniform(0.5, 0.8, 5)]), 0.0]
    hat = [v * (1 + gamma) if s_min <= v <= s_max else v for v in t]
    hat[0] = t[0]  # the first level's churn is in the start
    noise, heun = rng.standard_normal((2 * len(t), 5)), token == "edm-heun"
    x = start = hat[0] * rng.standard_normal(5)
    calls = 0
    for i in range(len(t) - 1):
        if i and hat[i] > t[i]:
            x = x + s_noise * sqrt(hat[i] ** 2 - t[i] ** 2) * noise[calls - 1]
        d = posterior(x, hat[i])
        calls += 1
        ahead = x + (t[i + 1] - hat[i]) * d
        if heun and t[i + 1] > 0:
            ahead = x + (t[i + 1] - hat[i]) * (d + posterior(ahead, t[i + 1])) / 2
            calls += 1
        x = ahead
    rule = get_sampler(f"{token}:gamma={gamma},s_min={s_min},s_max={s_max},s_noise={s_noise}")
    points = [Point(1.0, v) for v in hat]
    assert run_eager(rule, points, eps, start, lambda i: noise[i]) == pytest.approx(x, rel=1e-12)
