"""Every sampler that diffusers has, against ours, on its own grids."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.parity import diffusers_side
from tests.parity.diffusers_side import run
from tests.parity.pairing import BARS, SIZE_NAMES, SIZES, agree, difference, known, ours

# Its grids leave the trained levels here and there, and its own advice is not for us.
pytestmark = [
    pytest.mark.filterwarnings("ignore::dtool.plan.prediction.ClampWarning"),
    pytest.mark.filterwarnings("ignore:The `scale_model_input` function:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed:FutureWarning"),
]
PLAIN = {"clip_sample": False}
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}
FULL = {"lower_order_final": False}  # by default the order falls at the end if there are fewer than 15 steps
SDE = {"algorithm_type": "sde-dpmsolver++", **FULL}
EPS = {"algorithm_type": "dpmsolver", **FULL, **SIGMA_MIN}
UNI = {**FULL, **SIGMA_MIN}
DDPM = "ddpm:DDPMScheduler"
DDIM = "ddim:DDIMScheduler"
MULTI = "dpmsolver_multistep:DPMSolverMultistepScheduler"
SINGLE = "dpmsolver_singlestep:DPMSolverSinglestepScheduler"
UNIPC = "unipc_multistep:UniPCMultistepScheduler"
DEIS = "deis_multistep:DEISMultistepScheduler"
EULER = "euler_discrete:EulerDiscreteScheduler"
ANCESTRAL = "euler_ancestral_discrete:EulerAncestralDiscreteScheduler"
HEUN = "heun_discrete:HeunDiscreteScheduler"
KDPM2_ANCESTRAL = "k_dpm_2_ancestral_discrete:KDPM2AncestralDiscreteScheduler"
EDM = "edm_euler:EDMEulerScheduler"
EDM_MULTI = "edm_dpmsolver_multistep:EDMDPMSolverMultistepScheduler"
CONSISTENCY = "consistency_models:CMStochasticIterativeScheduler"
PRECONDITIONED = {"says": diffusers_side.preconditioned}
LTX = "ltx_euler_ancestral_rf:LTXEulerAncestralRFScheduler"
SASOLVER = "sasolver:SASolverScheduler"
FLOW = "flow_match_euler_discrete:FlowMatchEulerDiscreteScheduler"
FLOW_HEUN = "flow_match_heun_discrete:FlowMatchHeunDiscreteScheduler"
THIRD = {"solver_order": 3, "solver_type": "heun"}
V = {"prediction_type": "v_prediction"}
X0 = {"prediction_type": "sample"}
KARRAS = {"use_karras_sigmas": True}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}

# ours, theirs, their options
CASES = [
    ("ddpm", DDPM, PLAIN),
    ("ddpm:sigma=beta", DDPM, {**PLAIN, "variance_type": "fixed_large"}),
    ("ddpm", DDPM, {**PLAIN, **V}),
    ("ddpm", DDPM, {**PLAIN, **X0}),
    ("ddim", DDIM, PLAIN),
    ("ddim:eta=0.7", DDIM, {**PLAIN, "step": {"eta": 0.7}}),
    ("ddpm", DDIM, {**PLAIN, "step": {"eta": 1.0}}),
    ("ddim", DDIM, {**PLAIN, "set_alpha_to_one": False, "steps_offset": 1}),
    ("plms", "pndm:PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": True}),
    ("plms", "pndm:PNDMScheduler", {"skip_prk_steps": True, "steps_offset": 1}),
    ("euler", EULER, {}),
    ("euler", EULER, KARRAS),
    ("euler", EULER, {"use_exponential_sigmas": True}),
    ("euler", EULER, V),
    ("euler", EULER, X0),
    ("euler", EULER, {**LEADING, **SIGMA_MIN}),
    ("euler-ancestral", ANCESTRAL, {}),
    ("euler-ancestral", ANCESTRAL, V),
    ("heun", HEUN, {}),
    ("heun", HEUN, KARRAS),
    ("dpm2", "k_dpm_2_discrete:KDPM2DiscreteScheduler", {}),
    ("dpm2", "k_dpm_2_discrete:KDPM2DiscreteScheduler", KARRAS),
    ("dpm2-ancestral", KDPM2_ANCESTRAL, {}),
    ("dpm2-ancestral", KDPM2_ANCESTRAL, KARRAS),
    ("lms", "lms_discrete:LMSDiscreteScheduler", {}),
    ("lms", "lms_discrete:LMSDiscreteScheduler", KARRAS),
    ("lms:order=3", "lms_discrete:LMSDiscreteScheduler", {"step": {"order": 3}}),
    ("dpmpp-sde", "dpmsolver_sde:DPMSolverSDEScheduler", {}),
    ("dpmpp-2m", MULTI, {}),
    ("dpmpp-2m", MULTI, V),
    ("dpmpp-2m", MULTI, KARRAS),
    ("dpmpp-2m", MULTI, {**FULL, **SIGMA_MIN}),
    ("dpmpp-2m:variant=heun", MULTI, {"solver_type": "heun"}),
    ("euler", MULTI, {"solver_order": 1}),
    ("dpmpp-3m:variant=published", MULTI, {"solver_order": 3, "solver_type": "heun", **FULL}),
    ("ddpm", MULTI, {"solver_order": 1, **SDE}),
    ("dpmpp-2m-sde", MULTI, SDE),
    ("dpmpp-2m-sde:variant=heun", MULTI, {"solver_type": "heun", **SDE}),
    ("dpm-solver:order=2,variant=midpoint", MULTI, EPS),
    ("dpm-solver:order=2", MULTI, {"solver_type": "heun", **EPS}),
    ("dpm-solver:order=2", MULTI, {"solver_type": "heun", **LEADING, **EPS}),
    ("dpmpp-singlestep", SINGLE, {"solver_order": 2}),
    ("dpmpp-singlestep:order=3", SINGLE, {"solver_order": 3}),
    ("deis:variable=logrho,order=1", DEIS, {"solver_order": 1}),
    ("deis:variable=logrho,order=2", DEIS, {"solver_order": 2, **FULL}),
    ("deis:variable=logrho,order=3", DEIS, {"solver_order": 3, **FULL}),
    *(
        (f"unipc:order={order},variant={variant}", UNIPC, {"solver_order": order, "solver_type": variant, **UNI})
        for order in (1, 2, 3)
        for variant in ("bh1", "bh2")
    ),
    ("unipc", UNIPC, {}),
    *(
        (
            f"unipc:order={order},variant={variant},corrector=false",
            UNIPC,
            {"solver_order": order, "solver_type": variant, "disable_corrector": list(range(100)), **UNI},
        )
        for order in (1, 2, 3)
        for variant in ("bh1", "bh2")
    ),
    ("lcm:scaling=10", "lcm:LCMScheduler", PLAIN),
    ("euler", FLOW, {}),
    ("euler", FLOW, {"shift": 3.0}),
    ("euler", EDM, PRECONDITIONED),
    ("dpmpp-2m", EDM_MULTI, PRECONDITIONED),
    ("dpmpp-2m-sde", EDM_MULTI, {**SDE, **PRECONDITIONED}),
    (
        "consistency",
        CONSISTENCY,
        {"clip_denoised": False, "says": diffusers_side.at_the_boundary, "points_of": diffusers_side.to_the_image},
    ),
    ("ddim-inversion", "ddim_inverse:DDIMInverseScheduler", {**PLAIN, **diffusers_side.INVERSE}),
    ("ipndm", "ipndm:IPNDMScheduler", diffusers_side.IPNDM),
    ("flow-ancestral", LTX, {}),
    ("flow-ancestral:eta=0.6", LTX, {"eta": 0.6}),
    *(
        (f"sa-solver:tau={tau},predictor={p},corrector={c}", SASOLVER, {**FULL, **diffusers_side.sa(tau, p, c)})
        for tau in (0.0, 0.6, 1.0)
        for p, c in ((1, 1), (2, 2), (3, 4))
    ),
    *(
        (
            f"sa-solver:tau=1.0,predictor={p},corrector={c},lower_order_final=always",
            SASOLVER,
            diffusers_side.sa(1.0, p, c),
        )
        for p, c in ((2, 2), (3, 4))
    ),
    *(
        (f"unipc:order={order},lower_order_final=always", UNIPC, {"solver_order": order, **options})
        for order in (2, 3)
        for options in ({}, SIGMA_MIN, {**SIGMA_MIN, **KARRAS})
    ),
    *(
        ("dpmpp-3m:variant=published,lower_order_final=under-15", MULTI, {**THIRD, **options})
        for options in ({}, SIGMA_MIN)
    ),
    ("dpmpp-2m:lower_order_final=under-15", MULTI, SIGMA_MIN),
    ("dpmpp-2m:lower_order_final=last", MULTI, {**FULL, **SIGMA_MIN, "euler_at_final": True}),
    ("dpmpp-2m-sde:lower_order_final=under-15", MULTI, {**SIGMA_MIN, "algorithm_type": "sde-dpmsolver++"}),
    ("dpm-solver:order=2,lower_order_final=under-15", MULTI, {**EPS, "solver_type": "heun", "lower_order_final": True}),
    *(
        (f"deis:variable=logrho,order={order},lower_order_final=under-15", DEIS, {"solver_order": order, **options})
        for order in (2, 3)
        for options in ({}, KARRAS)
    ),
    ("flow-heun", FLOW_HEUN, {}),
    ("flow-heun", FLOW_HEUN, {"shift": 3.0}),
]


UNSAID = {"clip_sample", "disable_corrector", "says", "adapt", "points_of", "tau_func"}
# Of these diffusers computes coefficients in float32 as differences of large numbers.
LOSSY = [case for case in CASES if ("order=3" in case[0] and case[1] == DEIS) or "predictor=3" in case[0]]


def _name(case):
    recipe, theirs, options = case
    return "-".join([recipe, theirs.partition(":")[2], *(f"{k}={v}" for k, v in options.items() if k not in UNSAID)])


@pytest.mark.parametrize(("n", "dtype"), SIZES, ids=SIZE_NAMES)
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_the_same_images(case, n, dtype):
    recipe, theirs, options = case
    if dtype == torch.float32 and case in LOSSY:
        pytest.skip("diffusers loses digits here: test_diffusers_loses_digits_in_float32")
    for seed in range(2):
        agree(recipe, run(theirs, n, dtype, seed=seed, **options))


@pytest.mark.parametrize("case", LOSSY, ids=_name)
def test_diffusers_loses_digits_in_float32(case):
    recipe, theirs, options = case
    known(recipe)
    n = 100 if theirs == DEIS else 20
    single, double = (run(theirs, n, dtype, **options) for dtype in (torch.float32, torch.float64))
    result = ours(recipe, replace(double, x=double.x.float(), noise=single.noise))[0]
    assert difference(result.double(), double.result) <= BARS[torch.float32]
    assert difference(single.result.double(), double.result) > BARS[torch.float32]


@pytest.mark.parametrize("gamma", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("n", [2, 4, 10])
def test_tcd_on_the_steps_of_a_training_schedule(n, gamma):
    """TCD goes down to a time of the schedule, so its grid is given as times; diffusers ends at the first of them."""
    recipe = f"tcd:gamma={gamma}"
    known(recipe)
    found = run("tcd:TCDScheduler", n, torch.float64, beta_schedule="linear", beta_start=1e-4, beta_end=0.02,
                step={"eta": gamma})  # fmt: skip
    result, calls = ours(recipe, replace(found, times=[*(p.t for p in found.points[:-1]), 0]))
    assert difference(result, found.result) <= BARS[torch.float64]
    assert calls == found.calls
