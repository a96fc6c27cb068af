"""Every sampler that diffusers has, against ours, on its own grids."""

from __future__ import annotations

import pytest
from diffusers_side import run
from pairing import SIZE_NAMES, SIZES, agree

DDPM = "ddpm:DDPMScheduler"
DDIM = "ddim:DDIMScheduler"
DPMPP = "dpmsolver_multistep:DPMSolverMultistepScheduler"
EULER = "euler_discrete:EulerDiscreteScheduler"

# ours, theirs, their options
CASES = [
    ("ddpm", DDPM, {"clip_sample": False}),
    ("ddpm:sigma=beta", DDPM, {"clip_sample": False, "variance_type": "fixed_large"}),
    ("ddpm", DDPM, {"clip_sample": False, "prediction_type": "v_prediction"}),
    ("ddpm", DDPM, {"clip_sample": False, "prediction_type": "sample"}),
    ("ddim", DDIM, {"clip_sample": False}),
    ("ddim:eta=0.7", DDIM, {"clip_sample": False, "step": {"eta": 0.7}}),
    ("ddpm", DDIM, {"clip_sample": False, "step": {"eta": 1.0}}),
    ("euler", EULER, {}),
    ("euler", EULER, {"use_karras_sigmas": True}),
    ("euler", EULER, {"prediction_type": "v_prediction"}),
    ("heun", "heun_discrete:HeunDiscreteScheduler", {}),
    ("heun", "heun_discrete:HeunDiscreteScheduler", {"use_karras_sigmas": True}),
    ("dpmpp-2m", DPMPP, {}),
    ("dpmpp-2m", DPMPP, {"prediction_type": "v_prediction"}),
    ("euler", DPMPP, {"solver_order": 1}),
]


def _name(case):
    recipe, theirs, options = case
    return "-".join([recipe, theirs.partition(":")[2], *(f"{k}={v}" for k, v in options.items() if k != "clip_sample")])


@pytest.mark.parametrize(("n", "dtype"), SIZES, ids=SIZE_NAMES)
@pytest.mark.parametrize(("recipe", "theirs", "options"), CASES, ids=[_name(c) for c in CASES])
def test_the_same_images(recipe, theirs, options, n, dtype):
    for seed in range(2):
        agree(recipe, run(theirs, n, dtype, seed=seed, **options))
