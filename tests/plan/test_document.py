"""Plans as JSON: read back bit for bit, or refused with a sentence."""

import json

import pytest

import dtool
from dtool.errors import DtoolError
from dtool.plan import Plan, plan
from tests.support.archives import RAW


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 2,', b"\xff\xfe", '{"format": 2, "format": 2}'])
def test_what_is_no_plan_is_said_without_the_names_of_exceptions(text):
    with pytest.raises(DtoolError, match="this is not a plan") as caught:
        Plan.from_json(text)
    assert not RAW.search(str(caught.value))


def test_a_plan_whose_columns_do_not_fit_is_said_so():
    data = json.loads(dtool.plan("ddim", steps=3).to_json())
    with pytest.raises(DtoolError, match="this is not a plan") as caught:
        Plan.from_json(json.dumps({**data, "b": [[1.0], [1.0, 2.0], [1.0]]}))
    assert not RAW.search(str(caught.value))


def changed(**fields):
    data = json.loads(dtool.plan("ddim", steps=2).to_json())
    return json.dumps(data | fields)


GOOD = dtool.plan("ddim", steps=2).to_json()


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "5", "[]", "{}", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, '{"format": ' + "1" * 400 + "}",
        '{"format": true}', '{"format": 2, "format": 2}', '{"format": 99}', b"\xff\xfe", None, 5, [], "\x00",
        changed(alpha=[float("nan"), 1]), changed(alpha=[float("inf"), 1]), changed(alpha="x"), changed(alpha=5),
        changed(alpha=[True, False]), changed(alpha=["1", "2"]), changed(alpha=[[1], [2]]), changed(alpha=[1]),
        changed(alpha=[int("9" * 400), 1]), changed(b=[[1], [1, 2]]), changed(b=[1, 2]), changed(init="1"),
        changed(init=None), changed(recipe=5), changed(recipe="\ud800"),
        changed(recipe="x" * 20_000), changed(basis="y"), changed(prediction=None), changed(inverse="no"),
        changed(step_end=[1, 1]), changed(save=[0.5, 1]), changed(extra=1), changed(t=[float("inf"), 0]),
        GOOD.replace('"alpha"', '"alpah"'), GOOD[:-3], GOOD + GOOD, GOOD.replace("{", '{"init": 0.5, ', 1),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_in_a_line(text):
    with pytest.raises(DtoolError) as caught:
        Plan.from_json(text)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_plan_is_read_from_text_or_bytes():
    plan = dtool.plan("dpmpp-2m-sde@cosine/karras", steps=7)
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json().encode()).hash == plan.hash
    assert Plan.from_json(json.dumps(json.loads(plan.to_json()))).hash == plan.hash
    whole = json.loads(GOOD)
    whole["c"] = [0 for _ in whole["c"]]  # as JavaScript writes 0.0
    assert Plan.from_json(json.dumps(whole)).hash == dtool.plan("ddim", steps=2).hash


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"format": 2}', '{"format": 1}'])
def test_json_that_is_no_plan(text):
    with pytest.raises(DtoolError, match="plan") as error:
        Plan.from_json(text)
    assert error.value.hint


def test_json_with_a_damaged_table():
    data = json.loads(plan("ddim", steps=3).to_json())
    for column, value in (("a", [1.0, 2.0]), ("b", [1.0] * 3), ("alpha", ["x"] * 3), ("sigma", [None] * 3)):
        with pytest.raises(DtoolError):
            Plan.from_json(json.dumps({**data, column: value}))


def test_the_plan_survives_json_and_the_old_format_is_read():
    made = plan("ddpm:sigma=learned", steps=5)
    assert Plan.from_json(made.to_json()) == made
    plain = plan("ddim", steps=5)
    old = json.loads(plain.to_json())
    for name in ("b_raw", "c_low", "inverse"):
        del old[name]
    assert Plan.from_json(json.dumps(old | {"format": 1})) == plain
    with pytest.raises(DtoolError, match="another format"):
        Plan.from_json(json.dumps(json.loads(plain.to_json()) | {"format": 5}))
