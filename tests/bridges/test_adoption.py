"""Adopted plans against the libraries' own runs, on a network that is not linear."""

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import dtool
from dtool.bridges.adopt import make_adoption
from dtool.certify.adopted import find_same
from tests.bridges.foreign_runs import difference, run_plan, run_scheduler

SINGLE, MULTI = "DPMSolverSinglestepScheduler", "DPMSolverMultistepScheduler"
UNIPC, DEIS, SA = "UniPCMultistepScheduler", "DEISMultistepScheduler", "SASolverScheduler"
LINSPACE = {"timestep_spacing": "linspace"}
CONFIGS = [
    ("DDIMScheduler", {}, {}),
    ("DDIMScheduler", {"clip_sample": False, **LINSPACE}, {"eta": 0.6}),
    ("DDIMScheduler", {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, {}),
    ("DDIMScheduler", {}, {"use_clipped_model_output": True}),
    ("DDPMScheduler", {}, {}),
    ("DDPMScheduler", {"variance_type": "fixed_large", "beta_schedule": "squaredcos_cap_v2"}, {}),
    ("DDPMScheduler", {"prediction_type": "sample", "clip_sample_range": 0.5}, {}),
    ("PNDMScheduler", {}, {}),
    ("PNDMScheduler", {"skip_prk_steps": True}, {}),
    ("LCMScheduler", {}, {}),
    ("TCDScheduler", {}, {"eta": 0.5}),
    ("EulerDiscreteScheduler", {}, {}),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, {"s_churn": 2.0}),
    ("EulerAncestralDiscreteScheduler", {}, {}),
    ("HeunDiscreteScheduler", {"use_karras_sigmas": True}, {}),
    ("KDPM2DiscreteScheduler", {}, {}),
    ("KDPM2AncestralDiscreteScheduler", {}, {}),
    ("LMSDiscreteScheduler", {}, {}),
    ("DPMSolverSDEScheduler", {}, {}),
    (MULTI, {}, {}),
    (MULTI, {"solver_order": 3, "use_karras_sigmas": True}, {}),
    (MULTI, {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, {}),
    (MULTI, {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}, {}),
    (MULTI, {"euler_at_final": True, "use_lu_lambdas": True}, {}),
    (SINGLE, {"solver_order": 3}, {}),
    (UNIPC, {}, {}),
    (UNIPC, {"solver_order": 3, "predict_x0": False, "final_sigmas_type": "sigma_min"}, {}),
    (DEIS, {"solver_order": 3}, {}),
    (SA, {}, {}),
    (SA, {"predictor_order": 3, "corrector_order": 4}, {}),
    ("IPNDMScheduler", {}, {}),
    ("EDMEulerScheduler", {}, {}),
    ("EDMDPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, {}),
    ("FlowMatchHeunDiscreteScheduler", {}, {}),
    ("FlowMatchLCMScheduler", {}, {}),
    ("DPMSolverMultistepInverseScheduler", {}, {}),
    ("DDIMInverseScheduler", {"clip_sample": False}, {}),
]  # fmt: skip
# The library's arithmetic and constants in float32; its constants alone; neither.
PRECISIONS = [(torch.float32, False, 3e-6), (torch.float64, False, 3e-7), (torch.float64, True, 1e-12)]
NAMES = [f"{name}-{'-'.join(f'{k}={v}' for k, v in (options | step).items())}" for name, options, step in CONFIGS]


@pytest.mark.parametrize(("name", "options", "step"), CONFIGS, ids=NAMES)
@pytest.mark.parametrize(("dtype", "wide", "bar"), PRECISIONS, ids=["float32", "shipped", "wide"])
def test_the_plan_makes_what_the_library_makes(name, options, step, dtype, wide, bar):
    scheduler = getattr(diffusers, name)(**options)
    made = make_adoption(scheduler, steps=9, exact=wide, **step)
    own = run_scheduler(scheduler, 9, dtype, step, wide=wide)
    assert torch.isfinite(own.end).all()
    assert difference(run_plan(made, own), own.end) <= bar
    assert made.plan.rows == len(own.times)
    assert made.error < (1e-11 if wide else 1e-7)
