"""Adopted plans against the libraries' own runs, on a network that is not linear."""

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import dtool  # noqa: E402
from dtool.bridges.adopt import make_adoption  # noqa: E402
from dtool.certify.adopted import find_same  # noqa: E402
from tests.bridges.foreign_runs import difference, largest_coefficient, run_plan, run_scheduler  # noqa: E402

SINGLE, MULTI = "DPMSolverSinglestepScheduler", "DPMSolverMultistepScheduler"
UNIPC, DEIS, SA = "UniPCMultistepScheduler", "DEISMultistepScheduler", "SASolverScheduler"
LINSPACE = {"timestep_spacing": "linspace"}
ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
CONFIGS = [
    ("DDIMScheduler", {}, {}),
    ("DDIMScheduler", {"clip_sample": False, **LINSPACE}, {"eta": 0.6}),
    ("DDIMScheduler", ZERO_SNR, {}),
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
# The library's arithmetic and constants in float32; neither.
PRECISIONS = [(torch.float32, False, 3e-6), (torch.float64, True, 1e-12)]
NAMES = [f"{name}-{'-'.join(f'{k}={v}' for k, v in (options | step).items())}" for name, options, step in CONFIGS]


@pytest.mark.parametrize(("name", "options", "step"), CONFIGS, ids=NAMES)
@pytest.mark.parametrize(("dtype", "wide", "bar"), PRECISIONS, ids=["float32", "float64"])
def test_the_plan_makes_what_the_library_makes(name, options, step, dtype, wide, bar):
    scheduler = getattr(diffusers, name)(**options)
    made = make_adoption(scheduler, steps=7, exact=wide, **step)
    own = run_scheduler(scheduler, 7, dtype, step, wide=wide)
    assert torch.isfinite(own.end).all()
    assert difference(run_plan(made, own), own.end) <= bar
    assert made.plan.rows == len(own.times)
    assert made.error < (1e-11 if wide else 1e-7)


@pytest.mark.parametrize("name", ["LMSDiscreteScheduler", MULTI, UNIPC, "CosineDPMSolverMultistepScheduler"])
def test_constants_in_float32_are_read_to_more_than_their_digits(name):
    scheduler = getattr(diffusers, name)()
    made, wide = (make_adoption(scheduler, steps=7, exact=exact) for exact in (False, True))
    assert made.error < 1e-8
    assert made.plan.history == wide.plan.history
    assert 0 < largest_coefficient(made.plan, wide.plan) < 1e-2


IDENTITIES = [
    ("DDIMScheduler", {}, {}, "ddim"),
    ("DDIMScheduler", {}, {"eta": 1.0}, "ddpm"),
    ("DDPMScheduler", {}, {}, "ddpm"),
    ("EulerDiscreteScheduler", {}, {}, "ddim"),
    ("EulerAncestralDiscreteScheduler", {}, {}, "ddpm"),
    ("HeunDiscreteScheduler", {}, {}, "heun"),
    ("LMSDiscreteScheduler", {}, {}, "lms"),
    (MULTI, {}, {}, "dpmpp-2m"),
    (UNIPC, {}, {}, "unipc"),
    ("FlowMatchEulerDiscreteScheduler", {}, {}, "ddim"),
    ("FlowMatchHeunDiscreteScheduler", {}, {}, "flow-heun"),
    ("EDMEulerScheduler", {}, {}, "ddim"),
]


@pytest.mark.parametrize(("name", "options", "step", "ours"), IDENTITIES)
def test_it_is_the_method_that_dtool_has_under_another_name(name, options, step, ours):
    made = make_adoption(getattr(diffusers, name)(**options), steps=16, exact=True, **step)
    found, apart = find_same(made.plan)
    assert apart < 1e-10
    assert (found, apart) == (ours, apart)


def test_what_is_the_same_is_far_from_what_is_not():
    made = make_adoption(diffusers.DDIMScheduler(timestep_spacing="linspace"), steps=16, exact=True)
    assert find_same(made.plan)[1] > 1e-3  # it steps to a level that is not the next


def test_a_plan_runs_on_any_network_clipped_or_not():
    plan = dtool.adopt(diffusers.DDPMScheduler(), steps=6)
    net = dtool.network(lambda x, t: 0.3 * x, shape=(1, 4, 4), schedule="cosine", prediction="v")
    free, held = (dtool.sample(net, plan, n=2, clip=clip).x0 for clip in (False, True))
    own = dtool.sample(net, dtool.plan("ddpm", points=[t.item() for t in plan.t], scheduler="linear"), n=2).x0
    assert abs(free - own).max() < 2e-3  # its constants are float32
    assert abs(free - held).max() > 1e-3
