"""Every sampler that k-diffusion has, against ours, on its own grids."""

from __future__ import annotations

import pytest
from k_diffusion_side import karras, run
from pairing import SIZE_NAMES, SIZES, agree

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
]


@pytest.mark.parametrize(("n", "dtype"), SIZES, ids=SIZE_NAMES)
@pytest.mark.parametrize(("recipe", "theirs", "options"), CASES, ids=[f"{c[0]}" for c in CASES])
def test_the_same_images(recipe, theirs, options, n, dtype):
    for seed in range(2):
        agree(recipe, run(theirs, karras(n, dtype), seed, **options))
