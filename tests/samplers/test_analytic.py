"""Analytic-DPM: on Gaussian data each step is the exact posterior, however long."""

import json

import numpy as np
import pytest

from dtool.certify import grids
from dtool.certify.moments import moments
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.samplers import get_sampler
from dtool.samplers.engines.variance_statistics import VarianceStatistics
from dtool.schedulers import get_scheduler


def closed_form(points, std):
    """E (z - ε)² of the optimal network on data N(0, std²): α²std²/(α²std² + σ²)."""
    levels = sorted((p for p in points if p.sigma > 0 and p.alpha > 0), key=lambda p: p.lam)
    levels = [p for i, p in enumerate(levels) if i == 0 or p.lam > levels[i - 1].lam]
    lam = np.array([p.lam for p in levels])
    return VarianceStatistics(lam, 1 / (1 + np.exp(-2 * lam) / std**2), 1.0, 1)


@pytest.mark.parametrize("name", ["analytic-ddpm", "analytic-ddim"])
@pytest.mark.parametrize("std", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 37])
@pytest.mark.parametrize("seed", range(3))
def test_moments_are_exact_at_any_number_of_steps(tmp_path, name, std, steps, seed):
    points = grids.random_grid(steps, seed, clean=False)
    file = tmp_path / "gaussian.json"
    closed_form(points, std).write(file)
    made = compile_plan(get_sampler(name, stats=str(file)), points, prediction="x0")
    means, variances = moments(made, 0.3, std)
    end = points[-1]
    assert means[-1] == pytest.approx(0.3 * end.alpha, abs=1e-12)
    assert variances[-1] == pytest.approx((std * end.alpha) ** 2 + end.sigma**2, abs=1e-12)


@pytest.mark.parametrize("name", ["analytic-ddpm", "analytic-ddim"])
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_unit_data_need_no_file(name, steps):
    points = grids.by_lam(steps, "uneven")
    _, variances = moments(compile_plan(get_sampler(name), points, prediction="x0"), 0.0, 1.0)
    assert variances[-1] == pytest.approx(points[-1].alpha ** 2 + points[-1].sigma ** 2, abs=1e-12)


def test_unit_data_make_it_beta():
    analytic, beta = (
        plan(token, scheduler="cosine:T=100,max_beta=0.9", steps=10) for token in ("analytic-ddpm", "ddpm:sigma=beta")
    )
    assert analytic.c == pytest.approx(beta.c, rel=1e-9)
    assert analytic.b == pytest.approx(beta.b, rel=1e-9)


@pytest.mark.parametrize("steps", [5, 20])
def test_between_beta_and_tilde(tmp_path, steps):
    """Data within [-1, 1] vary at most as N(0, I) does: DDPM's two choices bound the optimal one (theorem 2)."""
    levels = get_scheduler("linear")
    file = tmp_path / "narrow.json"
    lam = levels.lam[::-1]
    VarianceStatistics(lam.copy(), 1 / (1 + np.exp(-2 * lam) / 0.3**2), 1.0, 1).write(file)
    made, low, high = (
        plan(t, steps=steps) for t in (f"analytic-ddpm:stats={json.dumps(str(file))}", "ddpm", "ddpm:sigma=beta")
    )
    assert (made.c[:-1] > low.c[:-1]).all()
    assert (made.c[:-1] < high.c[:-1]).all()
    assert made.c[-1] == 0


def test_the_noise_of_a_step_to_the_first_level_is_held_below_what_is_seen():
    free, held = (plan("analytic-ddpm", clip=clip, scheduler="cosine", steps=10, end=0.0) for clip in (1e9, 1.0))
    assert held.c[:-1] == pytest.approx(free.c[:-1])
    assert held.c[-1] == pytest.approx(2 / 255 * np.sqrt(np.pi / 2), rel=1e-3)
    assert free.c[-1] > held.c[-1]
