"""Configs of diffusers' schedulers as recipes, and back."""

import subprocess
import sys
from contextlib import suppress
from itertools import combinations, product

import pytest

import dtool
from dtool.bridges.scheduler_configs import config, recipe
from dtool.bridges.trained_network import read_trained_network
from dtool.errors import DtoolError, UsageError
from dtool.models.readers.diffusers_config import DEFAULTS
from dtool.plan.compiled_plan import COLUMNS

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


STEPPING = {
    "variance_type": ("fixed_large", "learned_range"), "solver_order": (1, 3), "skip_prk_steps": (True,),
    "algorithm_type": ("sde-dpmsolver++", "dpmsolver", "sde-dpmsolver", "noise_prediction"),
    "solver_type": ("midpoint", "heun", "bh2", "bh1", "logrho"), "lower_order_final": (True, False),
    "euler_at_final": (True,), "predict_x0": (False,), "predictor_order": (1, 3), "corrector_order": (0, 1, 3),
    "stochastic_sampling": (True,), "clip_sample": (True, False),
}  # fmt: skip
PLACING = {
    "timestep_spacing": ("leading", "trailing", "linspace"), "steps_offset": (1,), "set_alpha_to_one": (True, False),
    "final_sigmas_type": ("sigma_min",), "sigma_schedule": ("exponential",), "use_karras_sigmas": (True,),
    "use_exponential_sigmas": (True,), "use_beta_sigmas": (True,), "use_lu_lambdas": (True,),
    "use_flow_sigmas": (True,), "flow_shift": (3.0,), "shift": (3.0,), "invert_sigmas": (True,),
}  # fmt: skip


def list_recipes(kind):
    """recipe ↦ a config of the class that is it: every two options for stepping, and every two for placing."""
    defaults, found = DEFAULTS[kind], {}
    for choices in (STEPPING, PLACING):
        known = {name: (defaults[name], *values) for name, values in choices.items() if defaults.get(name) is not None}
        pairs = [*combinations(known, 2)] or [*combinations(known, 1)] or [()]
        for names in pairs:
            for values in product(*(known[name] for name in names)):
                given = {name: value for name, value in zip(names, values, strict=True) if value != defaults[name]}
                if given.get("use_flow_sigmas"):
                    given["prediction_type"] = "flow_prediction"
                with suppress(DtoolError):  # options that contradict each other
                    given = {"_class_name": kind, **given}
                    found.setdefault((recipe(given).recipe, given.get("prediction_type")), given)
    return found


@pytest.mark.parametrize("kind", [kind for kind in DEFAULTS if "Parallel" not in kind and "CMStoch" not in kind])
def test_there_and_back_for_every_recipe_of_a_class(kind):
    """Recipe, config, recipe: the same table, whatever the options of the class are."""
    recipes = list_recipes(kind)
    assert recipes
    for (token, _), given in recipes.items():
        network = read_trained_network(given, clip=False, threshold=None)
        back = recipe(config(token, given).config).recipe
        one, two = (dtool.plan(each, steps=10, network=network) for each in (token, back))
        assert one.rows == two.rows, (token, back)
        for name in COLUMNS:
            same = pytest.approx(getattr(two, name), rel=1e-6, abs=1e-6, nan_ok=True)
            assert getattr(one, name) == same, (token, back, name)


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
