"""DPM-Solver++(SDE) beside its algorithm written out, and where its second call is."""

import numpy as np
import pytest

from dtool.certify.grids import point_at_lam, random_grid
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.rules import dpmpp_sde
from tests.support.two_gaussians import eps


@pytest.mark.parametrize("seed", range(3))
def test_dpmpp_sde_is_k_diffusions_algorithm_draw_for_draw(seed):
    points = random_grid(6, seed, clean=True)
    x, *noise = np.random.default_rng(seed).standard_normal((2 * len(points) + 1, 5))
    ends = [run_eager(rule, points, eps, x, lambda i: noise[i]) for rule in (get_sampler("dpmpp-sde"), dpmpp_sde)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-10)


@pytest.mark.parametrize("r", [0.25, 0.5, 0.8])
def test_the_second_call_is_a_part_r_of_the_way_and_gives_the_slope(r):
    """Its x0 weighs 1/2r as much as the step, and that of the start what is left."""
    now, to = point_at_lam(-0.8), point_at_lam(0.5)
    made = compile_plan(get_sampler(f"dpmpp-sde:r={r},eta=0.6"), (now, to), prediction="x0")
    assert np.log(made.alpha / made.sigma) == pytest.approx([now.lam, now.lam + r * (to.lam - now.lam)])
    assert made.b[1, 0] / made.b[1].sum() == pytest.approx(1 / (2 * r), rel=1e-9)
