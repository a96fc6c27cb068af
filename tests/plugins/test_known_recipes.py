"""Recipes under the names of elsewhere are recipes of dtool, and their names lead to them however they are typed."""

import pytest

from dtool.errors import UsageError
from dtool.plan import Recipe, plan
from dtool.plugins.known_recipes import (
    COMFYUI,
    COMFYUI_NAMES,
    DIFFUSERS,
    FORKS,
    FUNCTIONS,
    INTERFACES,
    K_DIFFUSION,
    METHODS,
    METHODS_OF_DIFFUSERS,
    RECIPES,
)
from dtool.plugins.registrar import NamedRecipe, Provider, Registrar
from dtool.plugins.registry import NamedRecipes, get_registry
from dtool.samplers import get_sampler


@pytest.mark.parametrize("name", RECIPES)
def test_a_known_name_is_its_recipe(name):
    known = Recipe.parse(RECIPES[name])
    assert [str(Recipe.parse(spelling)) for spelling in (name, name.lower(), name.upper())] == [str(known)] * 3
    assert plan(known, steps=12, prediction="v").hash == plan(name, steps=12, prediction="v").hash


def test_no_known_name_hides_a_sampler():
    assert not {entry.name for entry in get_registry().samplers} & set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_name_from_elsewhere_is_a_recipe_that_compiles(name):
    recipe = Recipe.parse(name)
    made = plan(recipe, scheduler=None if recipe.scheduler else "linear", steps=12, prediction="v")
    assert made.steps == 12
    assert str(Recipe.parse(str(recipe))) == str(recipe)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("DPM++ 2M Karras", "dpmpp-2m/karras"),
        ("DPM++ 2M SDE Karras", "dpmpp-2m-sde/karras"),
        ("DPM++ 3M SDE Exponential", "dpmpp-3m-sde/logsnr"),
        ("Euler a", "euler-ancestral"),
        ("LMS Karras", "lms/karras"),
        ("DPM2 a Karras", "dpm2-ancestral/karras"),
        ("DPM fast", "dpm-fast"),
        ("UniPC", "unipc"),
        ("sample_dpmpp_2m", "dpmpp-2m"),
        ("DPMSolverMultistepScheduler", "dpmpp-2m/linspace:compat=diffusers-multistep"),
        ("EulerAncestralDiscreteScheduler", "euler-ancestral/normal"),
    ],
)
def test_the_best_known_names(name, recipe):
    assert str(Recipe.parse(name)) == recipe


@pytest.mark.parametrize("name", K_DIFFUSION)
def test_a_function_of_k_diffusion_is_the_sampler_of_its_name(name):
    assert Recipe.parse(name).rule.name.replace("-", "") == name.removeprefix("sample_").removesuffix("_x0").replace(
        "_", ""
    )


@pytest.mark.parametrize(
    "spelt", ["dpm++ 2m karras", "DPM++2MKarras", "dpm++_2m_karras", "dpm++-2m-karras", "DPM++  2M  KARRAS"]
)
def test_case_spaces_and_underscores_do_not_matter(spelt):
    assert str(Recipe.parse(spelt)) == "dpmpp-2m/karras"


def test_a_named_recipe_can_be_completed():
    assert str(Recipe.parse("DPM++ 2M Karras@cosine")) == "dpmpp-2m@cosine/karras"
    assert str(Recipe.parse("DDIMScheduler:eta=0.5/logsnr")) == "ddim:eta=0.5,use_clipped=false/logsnr"
    with pytest.raises(UsageError, match="names its spacing already"):
        Recipe.parse("DPM++ 2M Karras/logsnr")
    with pytest.raises(UsageError, match="has no option 'nonsense'"):
        Recipe.parse("DPM++ 2M Karras:nonsense=1")


@pytest.mark.parametrize(("wrong", "meant"), [("DPM++ 2M Karas", "'DPM++ 2M Karras'"), ("Eular a", "'Euler a'")])
def test_did_you_mean_knows_them_too(wrong, meant):
    with pytest.raises(UsageError, match="there is no sampler") as error:
        Recipe.parse(wrong)
    assert meant in error.value.hint


def test_no_name_is_given_twice():
    """A sampler's own names go first, so a recipe of such a name could only be the same thing."""
    parts = (
        INTERFACES,
        FORKS,
        K_DIFFUSION,
        COMFYUI_NAMES,
        METHODS,
        COMFYUI,
        FUNCTIONS,
        DIFFUSERS,
        METHODS_OF_DIFFUSERS,
    )
    assert len(RECIPES) == sum(map(len, parts))
    for name, token in RECIPES.items():
        if get_registry().samplers.knows(name):
            assert Recipe.parse(token) == Recipe(get_sampler(name))


def test_a_plugin_names_recipes_too():
    register = Registrar("sampler", Provider("mine", "1.0"))
    register.recipe("My Best", "ddim/karras")
    assert register.recipes == [NamedRecipe("My Best", "ddim/karras", Provider("mine", "1.0"))]
    known = NamedRecipes()
    known.add(register.recipes[0])
    known.add(NamedRecipe("MY_BEST", "euler", Provider("late", "1.0")))
    assert known.get("my best").token == "ddim/karras"
    assert known.get("worst") is None
    with pytest.raises(UsageError, match="no name for a recipe"):
        register.recipe("a/b", "ddim")
    with pytest.raises(UsageError, match="registered as a scheduler"):
        Registrar("scheduler", Provider("mine", "1.0")).recipe("x", "ddim")
