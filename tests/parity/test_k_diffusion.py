"""Every sampler that k-diffusion has, against ours, on its own grids."""

from __future__ import annotations

import pytest

from tests.parity.k_diffusion_side import churned, fast, karras, run, single
from tests.parity.pairing import SIZE_NAMES, SIZES, agree

# ours, theirs, their options
CASES = [
    ("euler", "sample_euler", {}),
    ("heun", "sample_heun", {}),
    ("euler-ancestral", "sample_euler_ancestral", {}),
    ("euler-ancestral:eta=0.6", "sample_euler_ancestral", {"eta": 0.6}),
    ("dpm2", "sample_dpm_2", {}),
    ("dpm2-ancestral", "sample_dpm_2_ancestral", {}),
    ("dpm2-ancestral:eta=0.6", "sample_dpm_2_ancestral", {"eta": 0.6}),
    ("lms", "sample_lms", {}),
    ("lms:order=2", "sample_lms", {"order": 2}),
    ("dpmpp-2s-ancestral", "sample_dpmpp_2s_ancestral", {}),
    ("dpmpp-2s-ancestral:eta=0.6", "sample_dpmpp_2s_ancestral", {"eta": 0.6}),
    ("dpmpp-2m", "sample_dpmpp_2m", {}),
    ("dpmpp-2m-sde", "sample_dpmpp_2m_sde", {}),
    ("dpmpp-2m-sde:eta=0.6", "sample_dpmpp_2m_sde", {"eta": 0.6}),
    ("dpmpp-2m-sde:variant=heun", "sample_dpmpp_2m_sde", {"solver_type": "heun"}),
    ("dpmpp-3m-sde:variant=published", "sample_dpmpp_3m_sde", {}),
    ("dpmpp-3m-sde:variant=published,eta=0.6", "sample_dpmpp_3m_sde", {"eta": 0.6}),
    ("dpmpp-3m:variant=published", "sample_dpmpp_3m_sde", {"eta": 0}),
    ("dpmpp-sde", "sample_dpmpp_sde", {}),
    ("dpmpp-sde:eta=0.6,r=0.3", "sample_dpmpp_sde", {"eta": 0.6, "r": 0.3}),
]


@pytest.mark.parametrize(("n", "dtype"), SIZES, ids=SIZE_NAMES)
@pytest.mark.parametrize(("recipe", "theirs", "options"), CASES, ids=[f"{c[0]}" for c in CASES])
def test_the_same_images(recipe, theirs, options, n, dtype):
    for seed in range(2):
        agree(recipe, run(theirs, karras(n, dtype), seed, **options))


@pytest.mark.parametrize(("n", "dtype"), SIZES, ids=SIZE_NAMES)
@pytest.mark.parametrize("ours_name", ["edm-euler", "edm-heun"])
def test_churn(ours_name, n, dtype):
    """k-diffusion's noise before a step is our noise after the one before it, and the first is part of our start."""
    gamma = 0.2
    for s_min, s_max in ((0.0, float("inf")), (0.5, 9.0)):
        found, steps = churned(f"sample_{ours_name.removeprefix('edm-')}", n, dtype, gamma, s_min, s_max)
        agree(f"{ours_name}:gamma={gamma},s_min={s_min},s_max={s_max}", found, drawn=lambda k, i=steps: i[k])


@pytest.mark.parametrize("n", [4, 7, 10])
def test_dpm_fast(n):
    """k-diffusion makes its own grid: each of its steps of order 3 is three of ours, and one is left."""
    agree("dpm-fast:weights=exact", fast(n))


@pytest.mark.parametrize(("recipe", "step", "calls"), [("dpm-solver-2s", 2, 2), ("dpm-solver-3s", 3, 3)])
def test_dpm_solver_single_steps(recipe, step, calls):
    for seed in range(2):
        agree(recipe, single(step, 8, seed))
