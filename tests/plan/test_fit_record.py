"""What a fitted plan says of its making goes through JSON, and is read strictly."""

import json

import pytest

import dtool
from dtool.errors import DtoolError
from dtool.targets import target
from tests.support.fitted_plans import make_plan


@pytest.fixture(scope="module")
def plan():
    return make_plan(target("gmm:d=2").network())


def test_it_is_read_as_it_was_written(plan):
    again = dtool.Plan.from_json(plan.to_json())
    assert again == plan
    assert again.fit == plan.fit
    assert again.fit.held_out.rivals[1].late == 743.0
    assert json.loads(plan.to_json())["format"] == 4


def test_a_plan_without_it_is_written_as_before():
    text = dtool.plan("ddim", steps=3).to_json()
    assert json.loads(text)["format"] == 2
    assert '"fit"' not in text


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"fit": None}, "fit"),
        ({"fit": {"seed": 1}}, "fit"),
        ({"kind": "other"}, "fit.kind"),
        ({"scale": float("nan")}, "scale"),
        ({"surprise": 1}, "fit.surprise"),
        ({"held_out": {"images": 3}}, "fit.held_out"),
    ],
)
def test_anything_else_is_refused(plan, change, where):
    document = json.loads(plan.to_json())
    document = document | change if "fit" in change else document | {"fit": document["fit"] | change}
    with pytest.raises(DtoolError, match=where.replace(".", r"\.")):
        dtool.Plan.from_json(json.dumps(document))
