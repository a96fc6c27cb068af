"""Configs of diffusers' schedulers as recipes, and back."""

import subprocess
import sys

import pytest

import dtool
from dtool.bridges.scheduler_configs import config, recipe
from dtool.bridges.trained_network import read_trained_network
from dtool.errors import DtoolError, UsageError

STABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
CONFIGS = [
    {"_class_name": "DDIMScheduler", "clip_sample": False, "steps_offset": 1, "set_alpha_to_one": False, **STABLE},
    {"_class_name": "DDPMScheduler", "clip_sample": False, "variance_type": "fixed_large"},
    {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True, "prediction_type": "v_prediction", **STABLE},
    {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"},
    {"_class_name": "HeunDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 1},
    {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True, **STABLE},
    {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "timestep_spacing": "leading"},
    {"_class_name": "UniPCMultistepScheduler", "timestep_spacing": "trailing", **STABLE},
    {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
    {"_class_name": "EDMEulerScheduler"},
]  # fmt: skip


@pytest.mark.parametrize("given", CONFIGS, ids=lambda one: one["_class_name"])
def test_there_and_back(given):
    """The config that is found means the same table, and no more differs than did at first."""
    first = recipe(given)
    found = config(first.recipe, given)
    network = read_trained_network(given, clip=False, threshold=None)
    for steps in (6, 11):
        one, two = (
            dtool.plan(token, steps=steps, network=network) for token in (first.recipe, recipe(found.config).recipe)
        )
        assert one.hash == two.hash or abs(one.a - two.a).max() < 1e-6
    assert len(found.differences) <= len(first.differences)
    assert {key: value for key, value in found.config.items() if key in STABLE} == {
        key: value for key, value in given.items() if key in STABLE
    }


def test_the_class_has_the_name_of_the_sampler_where_several_step_alike():
    assert config("ddim").config["_class_name"] == "DDIMScheduler"
    assert config("euler/normal").config["_class_name"] == "EulerDiscreteScheduler"


def test_what_differs_is_said():
    found = config("dpmpp-2m/karras:rho=6")
    assert found.config == {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    assert any("the recipe's at" in line for line in found.differences)


def test_diffusers_takes_what_is_found():
    diffusers = pytest.importorskip("diffusers")
    for token in ("ddim", "dpmpp-2m/karras", "unipc/leading"):
        found = config(token, STABLE).config
        scheduler = getattr(diffusers, found["_class_name"])(**{k: v for k, v in found.items() if k[0] != "_"})
        scheduler.set_timesteps(5)
        assert len(scheduler.timesteps) == 5
        assert recipe(dict(scheduler.config) | {"_class_name": found["_class_name"]}) == recipe(found)


def test_samplers_that_diffusers_has_not():
    with pytest.raises(UsageError, match="no scheduler of diffusers steps as seeds-2") as caught:
        config("seeds-2")
    assert 'Scheduler("seeds-2"' in caught.value.hint
    with pytest.raises(DtoolError, match="ZScheduler"):
        recipe({"_class_name": "ZScheduler"})


def test_neither_way_imports_diffusers():
    code = ("import sys; from dtool.bridges.scheduler_configs import config; config('ddim');"
            "assert 'diffusers' not in sys.modules and 'torch' not in sys.modules")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
