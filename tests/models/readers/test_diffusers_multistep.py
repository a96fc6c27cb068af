"""The rules of diffusers' multistep classes, and what is said of their last steps."""

import pytest

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.plan import Recipe

MULTI, SINGLE, UNIPC = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}
FEWER = "fewer than 15 steps"


@pytest.mark.parametrize(
    ("kind", "config", "rule", "difference"),
    [
        (MULTI, {}, "dpmpp-2m", None),
        (MULTI, {"algorithm_type": "deis", "solver_type": "bh2"}, "dpmpp-2m", None),
        (MULTI, {"solver_type": "heun"}, "dpmpp-2m:variant=heun", None),
        (MULTI, {"solver_order": 1}, "euler", None),
        (MULTI, {"solver_order": 3}, "dpmpp-3m:variant=published", FEWER),
        (MULTI, SIGMA_MIN, "dpmpp-2m", FEWER),
        (MULTI, SIGMA_MIN | {"lower_order_final": False, "euler_at_final": True}, "dpmpp-2m", "last step at order 1"),
        (MULTI, {"algorithm_type": "sde-dpmsolver++"}, "dpmpp-2m-sde", None),
        (MULTI, {"algorithm_type": "sde-dpmsolver++", "solver_order": 1}, "ddpm", None),
        (MULTI, SIGMA_MIN | {"algorithm_type": "dpmsolver", "solver_order": 1}, "ddim", None),
        (MULTI, SIGMA_MIN | {"algorithm_type": "dpmsolver"}, "dpm-solver:order=2,variant=midpoint", FEWER),
        (SINGLE, {"solver_order": 3}, "dpmpp-singlestep:order=3", None),
        (SINGLE, SIGMA_MIN | {"algorithm_type": "dpmsolver"}, "dpm-fast:order=2,weights=half", None),
        (SINGLE, SIGMA_MIN | {"lower_order_final": True}, "dpmpp-singlestep", "last of them at order 1"),
        (UNIPC, {}, "unipc", None),
        (UNIPC, {"solver_type": "heun"}, "unipc", None),
        (UNIPC, {"predict_x0": False}, "unipc", "holds ε"),
        (UNIPC, {"disable_corrector": [0]}, "unipc", "disable_corrector"),
        ("DEISMultistepScheduler", {}, "deis:variable=logrho,order=2", FEWER),
        ("SASolverScheduler", {"predictor_order": 3, "corrector_order": 4}, "sa-solver:predictor=3,corrector=4", "200"),
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
