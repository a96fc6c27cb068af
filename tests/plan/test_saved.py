"""A plan that was saved as JSON, in the place of a recipe."""

from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.certify import checks
from dtool.errors import UsageError
from dtool.plan import Recipe
from dtool.plan.foreign import find_library
from dtool.targets import target
from dtool.util.file_references import contain_names
from tests.support.fitted_plans import make_plan, write_plan


@pytest.fixture
def saved(tmp_path):
    def save(recipe, steps=6, **more):
        path = tmp_path / "saved.json"
        path.write_text(dtool.plan(recipe, steps=steps, **more).to_json(), encoding="utf-8")
        return str(path)

    return save


def test_it_is_the_plan_itself(saved):
    path = saved("dpmpp-2m@cosine/karras")
    assert dtool.plan(path) == dtool.plan(path, steps=6) == dtool.plan("dpmpp-2m@cosine/karras", steps=6)
    assert str(Recipe.parse(path)) == path == str(Recipe.parse(f"plan:{path}"))
    assert (Recipe.parse(path).own_steps, Recipe.parse("ddim").own_steps) == (6, None)


def test_a_network_gets_its_own_times(saved):
    net = dtool.network(lambda x, t: 0 * x, shape=(2,), schedule="cosine", prediction="v")
    made = dtool.plan(saved("heun/karras"), network=net)
    assert made == dtool.plan("heun@linear/karras", steps=6, network=net) or np.allclose(
        made.time, dtool.plan("heun@linear/karras", steps=6, network=net).time
    )
    assert made.prediction == "v"


def test_guidance_and_a_late_start(saved):
    path = saved("ddim")
    assert dtool.plan(f"{path}~3").scale == 3
    assert dtool.plan(path, strength=0.5).rows == 3
    with pytest.raises(UsageError, match="use those before them"):
        dtool.plan(saved("dpmpp-2m"), strength=0.5)


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"steps": 7}, "holds a plan of 6 steps, not of 7"),
        ({"spacing": "karras"}, "whose levels are its own"),
        ({"scheduler": "cosine"}, "whose levels are its own"),
        ({"points": [900, 100]}, "whose levels are its own"),
        ({"eta": 1}, "has no option 'eta'"),
    ],
)
def test_what_it_cannot_follow_is_refused(saved, more, cause):
    with pytest.raises(UsageError, match=cause) as error:
        dtool.plan(saved("ddim"), **more)
    assert error.value.hint


def test_what_is_no_plan_is_refused(tmp_path):
    wrong = tmp_path / "wrong.json"
    for text in ("{", "[]", '{"format": 1}', ""):
        wrong.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"wrong\.json") as error:
            dtool.plan(str(wrong))
        assert error.value.hint
    wrong.write_bytes(b"\xff\xfe")
    for path in (wrong, tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            dtool.plan(f"plan:{path}")


def test_a_file_names_no_plan(saved):
    path = saved("ddim")
    with contain_names("the file"), pytest.raises(UsageError, match="names another file"):
        Recipe.parse(path)


def test_it_is_examined(saved):
    results = {one.__name__: one for one in checks(saved("heun"))}
    assert list(results) == ["table", "marginals", "order", "backends", "batch"]
    assert results["marginals"]().status == "pass"
    assert "heun" in results["order"]().detail


def test_it_runs_on_a_network_of_another_schedule_as_any_plan_does(saved):
    path, net = saved("dpmpp-2m/karras"), target("gmm:d=2").network(schedule="cosine")
    assert dtool.sample(net, path, n=2).x0.tolist() == dtool.sample(net, dtool.plan(path), n=2).x0.tolist()


def test_its_options_are_checked(saved):
    path = saved("ddim")
    with pytest.raises(UsageError, match="speed"):
        dtool.plan(f"{path}:speed=2")
    assert find_library("ddim/file:path=times.json") is None
    assert find_library("fits/five.json:force=true") == "plan"


def test_force_takes_away_what_it_was_fitted_for(tmp_path):
    plan = make_plan(target("gmm:d=2").network())
    name = write_plan(tmp_path / "fitted.json", plan)
    assert dtool.plan(name).fit == plan.fit
    assert dtool.plan(f"{name}:force=true") == replace(plan, fit=None)
