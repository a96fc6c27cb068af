"""The recipe of every class draws what diffusers' scheduler itself draws, or says in what it does not."""

import pytest

pytest.importorskip("diffusers")
from tests.support.diffusers_loop import measure

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = {"clip_sample": False}
LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
LEADING, TRAILING = {"timestep_spacing": "leading", "steps_offset": 1}, {"timestep_spacing": "trailing"}
BOUNDED = {"thresholding": True, "sample_max_value": 1.5}
KARRAS, SIGMA_MIN = {"use_karras_sigmas": True}, {"final_sigmas_type": "sigma_min"}
THIRD = {"solver_order": 3, "solver_type": "heun"}
V, FLOW = {"prediction_type": "v_prediction"}, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
FULL, EPS = {"lower_order_final": False}, {"algorithm_type": "dpmsolver", "lower_order_final": False, **SIGMA_MIN}
SVD = {"timestep_type": "continuous", "sigma_min": 0.002, "sigma_max": 700.0} | V | KARRAS
TOLERANCE = 1e-4

EXACT = [
    ("DDIM", {}), ("DDIM", PLAIN | V | LATENT), ("DDIM", PLAIN | LATENT | LEADING | {"set_alpha_to_one": False}),
    ("DDIM", TRAILING | V | {"rescale_betas_zero_snr": True}), ("DDIM", {"clip_sample_range": 2.0}), ("DDIM", BOUNDED),
    ("DDIM", PLAIN | {"num_train_timesteps": 500, "beta_end": 0.04}), ("DDIM", {"thresholding": True}),
    ("DDPM", {}), ("DDPM", TRAILING), ("DDPM", {"variance_type": "fixed_large"}), ("DDPM", BOUNDED),
    ("DDPM", {"variance_type": "learned_range"}), ("DDPM", {"timestep_spacing": "linspace"}),
    ("DDPM", {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}),
    ("PNDM", LATENT | {"skip_prk_steps": True, "steps_offset": 1}), ("PNDM", {}), ("PNDM", {"set_alpha_to_one": True}),
    ("DDIM", PLAIN | {"set_alpha_to_one": False}), ("EulerDiscrete", SIGMA_MIN), ("EulerDiscrete", SIGMA_MIN | KARRAS),
    ("DPMSolverMultistep", THIRD), ("DPMSolverMultistep", THIRD | SIGMA_MIN),
    ("DPMSolverMultistep", SIGMA_MIN | {"euler_at_final": True}), ("DPMSolverMultistep", SIGMA_MIN | KARRAS),
    ("UniPCMultistep", {"solver_order": 3}), ("UniPCMultistep", SIGMA_MIN | KARRAS),
    ("UniPCMultistep", FLOW | SIGMA_MIN), ("DEISMultistep", {}), ("DEISMultistep", KARRAS), ("EDMEuler", SIGMA_MIN),
    ("SASolver", {}), ("SASolver", {"predictor_order": 3, "corrector_order": 4}), ("SASolver", KARRAS),
    *((f"{name}Discrete", config) for name in ("Euler", "Heun", "KDPM2", "KDPM2Ancestral", "LMS")
      for config in ({}, LEADING | V, TRAILING, KARRAS | LEADING)),
    ("EulerAncestralDiscrete", LATENT), ("EulerDiscrete", {"use_beta_sigmas": True}), ("EulerDiscrete", SVD),
    ("EulerDiscrete", SIGMA_MIN | LEADING), ("HeunDiscrete", PLAIN | {"clip_sample": True}),
    ("DPMSolverSDE", {}),
    ("DPMSolverMultistep", {}), ("DPMSolverMultistep", LATENT | LEADING), ("DPMSolverMultistep", KARRAS),
    ("DPMSolverMultistep", {"solver_type": "heun"}), ("DPMSolverMultistep", FLOW | {"flow_shift": 3.0}),
    ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++"}), ("DPMSolverMultistep", EPS),
    ("DPMSolverMultistep", FULL | SIGMA_MIN), ("DPMSolverMultistep", BOUNDED),
    ("DPMSolverMultistep", FULL | {"solver_order": 3, "solver_type": "heun"}),
    ("DPMSolverSinglestep", {}), ("DPMSolverSinglestep", {"solver_order": 3}), ("DPMSolverSinglestep", SIGMA_MIN),
    ("DPMSolverSinglestep", SIGMA_MIN | {"algorithm_type": "dpmsolver"}),
    *(("DPMSolverSinglestep", SIGMA_MIN | KARRAS | {"lower_order_final": low}) for low in (True, False)),
    ("DPMSolverSinglestep", SIGMA_MIN | {"lower_order_final": True}),
    ("UniPCMultistep", {}), ("UniPCMultistep", KARRAS), ("UniPCMultistep", FLOW | {"flow_shift": 5.0}),
    ("UniPCMultistep", SIGMA_MIN | FULL | {"solver_type": "bh1"}), ("UniPCMultistep", BOUNDED),
    ("DEISMultistep", FULL), ("LCM", {}), ("LCM", {"clip_sample": True}), ("TCD", {}),
    *(("DDIMInverse", PLAIN | V | options) for options in ({}, LEADING, TRAILING)),
    ("EDMEuler", {}), ("EDMEuler", V | {"sigma_data": 1.0}), ("EDMDPMSolverMultistep", {}),
    ("FlowMatchEulerDiscrete", {}), ("FlowMatchEulerDiscrete", {"shift": 3.0}),
    ("FlowMatchEulerDiscrete", {"shift": 3.0, "stochastic_sampling": True}),
    ("FlowMatchEulerDiscrete", {"shift": 3.0, "shift_terminal": 0.1}),
    ("FlowMatchHeunDiscrete", {"shift": 3.0}), ("CMStochasticIterative", {}),
]  # fmt: skip

# What the recipe is not exactly, and the difference that diffusers is seen to have.
STATED = [
    ("DDIM", PLAIN | {"timestep_spacing": "linspace"}, "not the next one"),
    ("DDPM", {"variance_type": "fixed_large"} | TRAILING, "adds noise in the last step"),
    ("DDIMInverse", {}, "clip=True"),
    ("EulerDiscrete", {"interpolation_type": "log_linear"}, "other times"),
    ("DPMSolverMultistep", {"solver_order": 3}, "second step as solver_type midpoint"),
    ("DPMSolverSinglestep", {"solver_type": "heun"}, "solver_type heun"),
    ("FlowMatchEulerDiscrete", {"shift": 3.0} | KARRAS, "by a formula"),
]


def name(case):
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


@pytest.mark.parametrize("case", EXACT, ids=name)
def test_the_same_images(case):
    difference, reading = measure(f"{case[0]}Scheduler", 10, case[1])
    assert difference <= TOLERANCE, (reading.recipe, reading.differences)


@pytest.mark.parametrize("case", [("DDIM", {}), ("UniPCMultistep", FLOW), ("FlowMatchEulerDiscrete", {"shift": 3.0})])
def test_the_same_images_in_50_steps(case):
    assert measure(f"{case[0]}Scheduler", 50, case[1])[0] <= TOLERANCE


@pytest.mark.parametrize("tokens", [None, 1024])
def test_a_dynamic_shift(tokens):
    mu = 1.15 if tokens is None else 0.63
    config = {"use_dynamic_shifting": True}
    assert measure("FlowMatchEulerDiscreteScheduler", 10, config, tokens=tokens, mu=mu)[0] <= TOLERANCE


@pytest.mark.parametrize("case", STATED, ids=name)
def test_a_difference_is_seen_and_stated(case):
    difference, reading = measure(f"{case[0]}Scheduler", 10, case[1])
    assert difference > TOLERANCE, "it need not be stated"
    assert any(case[2] in sentence for sentence in reading.differences)
