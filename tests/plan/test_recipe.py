"""A recipe in one token: it is read, written, and comes back the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtool.errors import UsageError
from dtool.plan import Recipe, plan
from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler
from tests.support.options import random_options, try_options
from tests.support.rules import configurations

schedulers = st.sampled_from(
    ["", "@linear", "@cosine:s=0.01", "@linear:T=100,zero_snr=true", "@sigmoid:start=-2.5,tau=0.7"]
)
spacings = st.sampled_from(["", "/karras", "/karras:rho=5.0", "/leading:offset=1", "/list:times=999;2.5"])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(configurations()), schedulers, spacings)
def test_what_is_written_is_read_back(first, at, slash):
    recipe = Recipe.parse(first + at + slash)
    again = Recipe.parse(str(recipe))
    assert str(again) == str(recipe)
    assert again.rule == recipe.rule
    assert (again.scheduler is None) == (recipe.scheduler is None) == (at == "")
    if again.scheduler and recipe.scheduler:
        assert again.scheduler.hash == recipe.scheduler.hash
    assert again.spacing == recipe.spacing


@pytest.mark.parametrize(
    ("given_as", "shortest"),
    [
        ("ddim:eta=0", "ddim"),
        ("ddpm:sigma=tilde@linear:T=1000/trailing", "ddpm@linear"),
        ("dpm++2m", "dpmpp-2m"),
        ("DDIM:eta=.5", "ddim:eta=0.5"),
        ("ddim@quadratic/quad", "ddim@scaled-linear/quadratic"),
        ("ddim@linear:zero_snr=True", "ddim@linear:zero_snr=true"),
    ],
)
def test_the_shortest_form_is_written(given_as, shortest):
    assert str(Recipe.parse(given_as)) == shortest


def test_a_path_in_an_option(tmp_path):
    folder = tmp_path / "a@b, c:d"
    folder.mkdir()
    np.save(folder / "β=1.npy", [0.1, 0.2])
    table = get_scheduler("betas", path=str(folder / "β=1.npy"))
    recipe = Recipe.parse(f"ddim@{table.token}/leading")
    assert recipe.scheduler is not None
    assert recipe.scheduler.hash == table.hash
    assert str(recipe) == f"ddim@{table.token}/leading"


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("", "cannot read the recipe"),
        ("@linear", "cannot read the recipe"),
        ("/karras", "cannot read the recipe"),
        ("ddim@", "cannot read the recipe"),
        ("ddim/", "cannot read the recipe"),
        ("ddim@linear@cosine", "order is SAMPLER|cannot read the recipe"),
        ("ddim/karras@linear", "cannot read the recipe"),
        ("ddim/karras/karras", "cannot read the recipe"),
        ("ddmi", "there is no sampler 'ddmi'"),
        ("ddim@lin", "there is no scheduler 'lin'"),
        ("ddim/kara", "there is no spacing 'kara'"),
        ("ddim:eta", "cannot read 'eta'"),
        ("ddim:eta=", "eta='' is refused"),
        ("ddim:eta=0.5,", "cannot read|is refused"),
        ("ddim:eta=1,eta=1", "given twice"),
        ("ddim:sigma=beta", "ddim has no option 'sigma'"),
        ("ddpm:sigma=large", "ddpm: sigma='large' is refused"),
        ("euler:eta=1", "euler has no option 'eta'"),
    ],
)
def test_what_cannot_be_read(token, cause):
    with pytest.raises(UsageError, match=cause) as error:
        Recipe.parse(token)
    assert error.value.hint
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("token", "meant"), [("ddmi", "ddim"), ("dpmpp2m", "dpmpp-2m"), ("eular", "euler"), ("DPM++2", "dpmpp-2m")]
)
def test_did_you_mean(token, meant):
    with pytest.raises(UsageError) as error:
        Recipe.parse(token)
    assert "did you mean" in error.value.hint
    assert meant in error.value.hint


def test_what_is_left_open_can_be_given_apart():
    together, apart = (
        plan("ddim:eta=0.5@cosine/karras", steps=9),
        plan("ddim", scheduler="cosine", spacing="karras", steps=9, eta=0.5),
    )
    assert together == apart
    assert plan("ddim", steps=9).schedule == "linear"


@pytest.mark.parametrize("twice", [{"scheduler": "linear"}, {"spacing": "leading"}])
def test_nothing_is_said_twice(twice):
    with pytest.raises(UsageError, match="names its"):
        plan("ddim@cosine/karras", steps=9, **twice)


NAMES = {
    kind: [entry.name for entry in getattr(get_registry(), kind) if entry.provider.name == "dtool"]
    for kind in ("samplers", "schedulers", "spacings")
}


@pytest.mark.parametrize("name", NAMES["samplers"])
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_what_is_printed_is_read_as_the_same_recipe(name, data):
    """Any rule, schedule and spacing, each with any options."""
    known = get_registry()
    rule = known.samplers.get(name)
    maker = known.schedulers.get(data.draw(st.sampled_from(NAMES["schedulers"])))
    place = known.spacings.get(data.draw(st.sampled_from(NAMES["spacings"])))
    own, on, at = (data.draw(random_options(part.model)) for part in (rule, maker, place))
    recipe = try_options(lambda: Recipe(rule.bind(**own), maker(**on), place.bind(**at)))
    if recipe is None:  # options that do not go together
        return
    again = Recipe.parse(str(recipe))
    assert str(again) == str(recipe)
    assert again.rule == recipe.rule
    assert again.spacing in (recipe.spacing, None)
    assert again.scheduler is not None
    assert again.scheduler.hash == recipe.scheduler.hash
