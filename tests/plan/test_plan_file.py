"""Saved plans as words of a recipe."""

from dataclasses import replace

import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.plan import Recipe
from dtool.plan.plan_file import find_plan_file
from dtool.targets import target
from dtool.util.file_references import contain_names
from tests.support.fitted_plans import make_plan, write_plan


@pytest.fixture
def four(tmp_path):
    return write_plan(tmp_path / "four.json", dtool.plan("dpmpp-2m/karras", steps=4))


def test_a_saved_plan_is_itself_again(four):
    plan = dtool.plan(four)
    assert plan == dtool.plan("dpmpp-2m/karras", steps=4)
    assert dtool.plan(four, steps=4) == plan
    recipe = Recipe.parse(four)
    assert (str(recipe), recipe.own_steps) == (four, 4)
    assert str(Recipe.parse(str(recipe))) == four
    assert Recipe.parse("ddim").own_steps is None
    guided = dtool.plan(f"{four}~3")
    assert guided.scale == 3.0


def test_it_runs_on_a_network_of_another_schedule_as_any_plan_does(four):
    net = target("gmm:d=2").network(schedule="cosine")
    assert dtool.sample(net, four, n=2).x0.tolist() == dtool.sample(net, dtool.plan(four), n=2).x0.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 5}, "is a plan of 4 steps"),
        ({"spacing": "karras"}, "levels of its own"),
        ({"scheduler": "cosine"}, "levels of its own"),
        ({"points": [999, 500]}, "levels of its own"),
        ({"strength": 0.5}, "cannot begin late"),
    ],
)
def test_it_has_steps_and_levels_of_its_own(four, options, message):
    with pytest.raises(UsageError, match=message):
        dtool.plan(four, **options)


def test_what_is_no_plan_is_refused_in_one_line(tmp_path, four):
    with pytest.raises(DtoolError, match="there is no file"):
        dtool.plan(str(tmp_path / "none.json"))
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(DtoolError, match="this is not a plan"):
        dtool.plan(str(tmp_path / "list.json"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DtoolError, match="cannot be read"):
        dtool.plan(str(tmp_path / "bytes.json"))
    with pytest.raises(UsageError, match="speed"):
        dtool.plan(f"{four}:speed=2")
    with contain_names("a.onnx"), pytest.raises(UsageError, match=r"a\.onnx names the file"):
        Recipe.parse(four)


def test_a_spacing_from_a_file_is_no_plan():
    assert find_plan_file("ddim/file:path=times.json") is None
    assert find_plan_file("fits/five.json:force=true") == "fits/five.json"


def test_force_takes_away_what_it_was_fitted_for(tmp_path):
    net = target("gmm:d=2").network()
    plan = make_plan(net)
    name = write_plan(tmp_path / "fitted.json", plan)
    assert dtool.plan(name).fit == plan.fit
    assert dtool.plan(f"{name}:force=true") == replace(plan, fit=None)
