"""The rules of diffusers' multistep classes, and what is said of their last steps."""

import pytest

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.plan import Recipe

MULTI, SINGLE, UNIPC = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"
THIRD = {"solver_order": 3, "solver_type": "heun"}
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}
FEW = "lower_order_final=under-15"
SA = "sa-solver:predictor=3,corrector=4,simple_order_2=true,noise_above=0.2,noise_below=0.8,lower_order_final=always"


@pytest.mark.parametrize(
    ("kind", "config", "rule", "difference"),
    [
        (MULTI, {}, "dpmpp-2m", None),
        (MULTI, {"algorithm_type": "deis", "solver_type": "bh2"}, "dpmpp-2m", None),
        (MULTI, {"solver_type": "heun"}, "dpmpp-2m:variant=heun", None),
        (MULTI, {"solver_order": 1}, "euler", None),
        (MULTI, {"solver_order": 3}, f"dpmpp-3m:variant=published,{FEW}", "solver_type midpoint"),
        (MULTI, SIGMA_MIN, f"dpmpp-2m:{FEW}", None),
        (MULTI, SIGMA_MIN | {"euler_at_final": True}, "dpmpp-2m:lower_order_final=last", None),
        (MULTI, SIGMA_MIN | THIRD | {"euler_at_final": True}, f"dpmpp-3m:variant=published,{FEW}", "15 steps or more"),
        (MULTI, {"algorithm_type": "sde-dpmsolver++"}, "dpmpp-2m-sde", None),
        (MULTI, {"algorithm_type": "sde-dpmsolver++", "solver_order": 1}, "ddpm", None),
        (MULTI, SIGMA_MIN | {"algorithm_type": "dpmsolver", "solver_order": 1}, "ddim", None),
        (MULTI, SIGMA_MIN | {"algorithm_type": "dpmsolver"}, f"dpm-solver:order=2,variant=midpoint,{FEW}", None),
        (SINGLE, {"solver_order": 3}, "dpmpp-singlestep:order=3", None),
        (SINGLE, SIGMA_MIN | {"algorithm_type": "dpmsolver"}, "dpm-fast:order=2,weights=half", None),
        (SINGLE, SIGMA_MIN | {"lower_order_final": True}, "dpmpp-singlestep:lower_order_final=last", None),
        (UNIPC, {}, "unipc", None),
        (UNIPC, {"solver_type": "heun"}, "unipc", None),
        (UNIPC, {"predict_x0": False}, "unipc", "holds ε"),
        (UNIPC, {"disable_corrector": [0]}, "unipc", "disable_corrector"),
        (UNIPC, {"solver_order": 3}, "unipc:order=3,lower_order_final=always", None),
        ("DEISMultistepScheduler", {}, f"deis:variable=logrho,order=2,{FEW}", None),
        ("SASolverScheduler", {"predictor_order": 3, "corrector_order": 4}, SA, None),
        ("EDMDPMSolverMultistepScheduler", {"rho": 5.0}, "dpmpp-2m", None),
    ],
)
def test_rules(kind, config, rule, difference):
    found = read_scheduler_config(config, class_name=kind)
    assert Recipe.parse(found.recipe).rule.token == rule
    if difference is None:
        assert found.differences == ()
    else:
        assert any(difference in sentence for sentence in found.differences)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (MULTI, {"solver_order": 4}), (MULTI, {"solver_order": "2"}), (MULTI, {"algorithm_type": "euler"}),
        (SINGLE, {"algorithm_type": "dpmsolver"}), (UNIPC, {"solver_type": 3}), (UNIPC, {"final_sigmas_type": "one"}),
    ],
)  # fmt: skip
def test_what_is_refused(kind, config):
    with pytest.raises(DtoolError) as error:
        read_scheduler_config(config, class_name=kind)
    assert error.value.hint
