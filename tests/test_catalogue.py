"""The catalogue: families, citations, names from elsewhere that resolve, and listings that show it all."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commandline import failed, ran

from dtool.cli import catalogue
from dtool.cli.output import plain_table
from dtool.errors import DtoolError, UsageError
from dtool.plan import Recipe, plan
from dtool.plugins.names import DIFFUSERS, INTERFACES, K_DIFFUSION, RECIPES
from dtool.plugins.registrar import NamedRecipe, Provider, Registrar
from dtool.plugins.registry import Recipes, registry
from dtool.samplers import sampler
from dtool.samplers.rule import sampler as rule_of

DOCS = Path(__file__).parent.parent / "docs"
BUILT_IN = [entry.name for entry in registry().samplers if entry.provider.name == "dtool"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_name_from_elsewhere_is_a_recipe_that_compiles(name):
    recipe = Recipe.parse(name)
    made = plan(recipe, scheduler=None if recipe.scheduler else "linear", steps=12)
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
        ("DPMSolverMultistepScheduler", "dpmpp-2m"),
        ("EulerAncestralDiscreteScheduler", "euler-ancestral"),
    ],
)
def test_the_best_known_names(name, recipe):
    assert str(Recipe.parse(name)) == recipe


@pytest.mark.parametrize(
    "spelt", ["dpm++ 2m karras", "DPM++2MKarras", "dpm++_2m_karras", "dpm++-2m-karras", "DPM++  2M  KARRAS"]
)
def test_case_spaces_and_underscores_do_not_matter(spelt):
    assert str(Recipe.parse(spelt)) == "dpmpp-2m/karras"


def test_a_named_recipe_can_be_completed():
    assert str(Recipe.parse("DPM++ 2M Karras@cosine")) == "dpmpp-2m@cosine/karras"
    assert str(Recipe.parse("DDIMScheduler:eta=0.5/logsnr")) == "ddim:eta=0.5/logsnr"
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
    assert len(RECIPES) == len(INTERFACES) + len(K_DIFFUSION) + len(DIFFUSERS)
    for name, token in RECIPES.items():
        if registry().samplers.knows(name):
            assert Recipe.parse(token) == Recipe(sampler(name))


def test_a_plugin_names_recipes_too():
    register = Registrar("sampler", Provider("mine", "1.0"))
    register.recipe("My Best", "ddim/karras")
    assert register.recipes == [NamedRecipe("My Best", "ddim/karras", Provider("mine", "1.0"))]
    known = Recipes()
    known.add(register.recipes[0])
    known.add(NamedRecipe("MY_BEST", "euler", Provider("late", "1.0")))
    assert known.get("my best").token == "ddim/karras"
    assert known.get("worst") is None
    with pytest.raises(UsageError, match="no name for a recipe"):
        register.recipe("a/b", "ddim")
    with pytest.raises(UsageError, match="registered as a scheduler"):
        Registrar("scheduler", Provider("mine", "1.0")).recipe("x", "ddim")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_says_what_it_is(name):
    rule = sampler(name)
    assert rule.family in catalogue.FAMILIES
    assert rule.cite
    summary, _, rest = rule.doc.partition("\n")
    assert summary.endswith(".")
    assert re.search(r"(?i)network calls?|calls? (a|in)", rest), "the docstring says what a step costs"
    for option, field in rule.model.model_fields.items():
        assert field.description, option
    for recipe in rule.same:
        assert Recipe.parse(recipe)


def test_families_are_in_their_order_and_unknown_ones_last(monkeypatch):
    groups = list(catalogue.by_family())
    order = [*catalogue.FAMILIES, catalogue.OTHER]
    assert [name for name, _ in groups] == sorted((name for name, _ in groups), key=order.index)
    assert sorted(item["name"] for _, items in groups for item in items) == sorted(e.name for e in registry().samplers)
    strange = rule_of("strange", order=1, family="novel")(lambda now, to: now.x)
    assert catalogue.family(strange) == catalogue.OTHER


def test_noise_is_what_the_plan_has():
    assert [catalogue.noise(sampler(name)) for name in ("ddpm", "ddim", "euler")] == ["yes", "option", "no"]


def test_a_sampler_that_cannot_be_loaded_is_listed_with_the_reason(monkeypatch):
    def broken(entry):
        raise DtoolError("gone")

    monkeypatch.setattr(catalogue, "sampler_entry", broken)
    [(family, items)] = catalogue.by_family()
    assert family == catalogue.OTHER
    assert {item["summary"] for item in items} == {"broken: gone"}


def test_an_alias_that_is_only_another_spelling_is_left_out():
    item = {"name": "dpmpp-2m", "aliases": ["dpmpp_2m", "DPMPP2M", "dpm++2m", "dpm++_2m"]}
    assert catalogue.other_names(item) == ["dpm++2m"]


def test_the_same_method_is_said_once():
    items = [{"name": "a", "same": {"b:x=1@linear/karras": "y=2"}}, {"name": "b", "same": {"a": "", "c": ""}}]
    assert catalogue.same_methods(items) == [["a", "b:x=1@linear/karras", "y=2"], ["b", "c", ""]]


def test_the_listing(capsys):
    text = ran(capsys, "samplers").out
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert text.splitlines()[0].split()[:5] == ["family", "name", "order", "calls", "noise"]
    assert re.search(r"^one step +ddim +1 +1 +option +DDIM: ", text, re.MULTILINE)
    assert re.search(r"^ddim +euler +eta=0$", text, re.MULTILINE)
    assert "broken" not in text, rows


def test_one_in_full_by_any_name(capsys):
    for name in ("dpmpp-2m", "dpmpp_2m", "DPM++ 2M Karras"):
        text = ran(capsys, "samplers", name).out
        assert "family: multistep" in text
        assert "order: 2, the first steps 1" in text
        assert "DPM++ 2M Karras = dpmpp-2m/karras" in text
    assert text.startswith("DPM++ 2M Karras is dpmpp-2m/karras\n")
    found = json.loads(ran(capsys, "samplers", "ddim", "--json").out)
    assert (found["family"], found["order"], found["calls"], found["noise"]) == ("one step", 1, 1, "option")
    assert found["same"]["euler"] == "eta=0"
    assert found["recipes"]["DDIMScheduler"] == "ddim"
    assert "network call" in found["doc"]


def test_json_has_all_of_it(capsys):
    found = {item["name"]: item for item in json.loads(ran(capsys, "samplers", "--json").out)}
    assert found["heun"]["calls"] == 2
    assert {"family", "order", "startup_order", "calls", "noise", "same", "breaks", "recipes", "aliases"} <= set(
        found["ddpm"]
    )


def test_an_unknown_name(capsys):
    failed(ran(capsys, "samplers", "nonesuch"), 2, "there is no sampler 'nonesuch'")


def test_a_terminal_table_fits_a_hundred_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("dtool.cli.samplers.on_terminal", lambda: True)
    monkeypatch.setattr("dtool.cli.output.on_terminal", lambda: True)
    lines = ran(capsys, "samplers").out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    names = {line.split()[0] for line in lines if line.strip()}
    assert set(BUILT_IN) <= names, "no name is broken in two"
    assert plain_table([], []) == [""]


@pytest.fixture
def docs(monkeypatch):
    """docs/generate.py and its neighbours."""
    monkeypatch.syspath_prepend(str(DOCS))
    import chart
    import generate
    import pages

    return generate, pages, chart


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_has_a_page_and_a_picture(name):
    page = (DOCS / "samplers" / f"{name}.md").read_text(encoding="utf-8")
    picture = (DOCS / "samplers" / f"{name}.svg").read_text(encoding="utf-8")
    assert f"# {name}\n" in page
    assert f"({name}.md)" in (DOCS / "samplers" / "README.md").read_text(encoding="utf-8")
    assert f"({name}.svg)" in page
    assert ET.fromstring(picture).tag.endswith("svg")
    assert len(picture) < 8000
    assert "| fail |" not in page


def test_measured_figures_may_differ_a_little_and_nothing_else(docs):
    generate, _, _ = docs
    assert generate.in_step("order 2, ≈2.0 / ≈3.0", "order 2, ≈2.1 / ≈2.9", svg=False)
    assert not generate.in_step("order 2, ≈2.0", "order 2, ≈2.2", svg=False)
    assert not generate.in_step("order 2, ≈2.0", "order 3, ≈2.0", svg=False)
    assert not generate.in_step("≈2.0", "≈2.0 / ≈2.0", svg=False)
    assert generate.in_step('<circle cx="10"/>', '<circle cx="12"/>', svg=True)
    assert not generate.in_step('<circle cx="10"/>', '<circle cx="13"/>', svg=True)


def test_a_page_shows_the_step_and_its_equation(docs):
    _, pages, _ = docs

    @rule_of("shown", order=1, cite="arXiv:2006.11239, eq. 1", family="one step")
    def shown(now, to):
        """One line.

        Prose about |x|.

            x' = α'·x0 + σ'·ε

        More.
        """
        # a comment on the step
        return to.alpha * now.x0 + to.sigma * now.eps

    assert "```text\nx' = α'·x0 + σ'·ε\n```" in pages._fenced(shown.doc)
    assert pages._linked(shown.cite) == "[arXiv:2006.11239](https://arxiv.org/abs/2006.11239), eq. 1"
    source = pages._source(shown)
    assert "# a comment on the step" in source
    assert "One line" not in source
    assert "@rule_of" not in source


def test_a_picture_is_a_few_lines_of_svg(docs):
    _, _, chart = docs
    text = chart.svg("a < b & c", [("one", "#000000", [(4, 0.1), (8, 0.01), (16, 1e-9)], False)], "steps")
    tree = ET.fromstring(text)
    labels = [node.text for node in tree.iter() if node.tag.endswith("text")]
    assert "a < b & c" in labels
    assert {"4", "8", "16", "1e-9", "steps", "one"} <= set(labels)
    places = next(node.get("points") for node in tree.iter() if node.tag.endswith("polyline"))
    across = [int(pair.split(",")[0]) for pair in places.split()]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=1)
