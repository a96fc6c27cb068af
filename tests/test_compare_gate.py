"""`--fail-if`: limits on figures, alone and against an earlier comparison."""

from __future__ import annotations

import json

import pytest

from dtool.compare.gate import Gate, read_baseline
from dtool.errors import DtoolError, UsageError


def entry(recipe="ddim", steps=10, mmd=0.5, rmse=0.1, seconds=2.0):
    figures = {} if mmd is None else {"mmd": {"value": mmd, "low": mmd, "high": mmd, "z": 0.0, "p": None}}
    solver = None if rmse is None else {"rmse": rmse, "psnr": 20.0, "low": 0.0, "high": 1.0, "judged": True}
    return {"recipe": recipe, "steps": steps, "figures": figures, "solver": solver, "seconds": seconds, "calls": steps}


def failures(text, entries, old=None):
    return list(Gate.parse(text).failures(entries, old))


@pytest.mark.parametrize(
    ("text", "fails"),
    [("mmd>0.4", True), ("mmd>0.5", False), ("mmd<0.6", True), ("rmse > 1e-1", False), ("seconds>1.5", True)],
)
def test_a_number_of_its_own(text, fails):
    assert bool(failures(text, [entry()])) is fails


@pytest.mark.parametrize(
    ("text", "before", "fails"),
    [
        ("mmd>+5%", 0.47, True),
        ("mmd>+5%", 0.48, False),
        ("mmd>+0.1", 0.39, True),
        ("mmd>+0.1", 0.41, False),
        ("mmd<-5%", 0.53, True),
        ("mmd>+5%", -0.5, True),
    ],
)
def test_a_change_against_the_baseline(text, before, fails):
    assert bool(failures(text, [entry()], [entry(mmd=before)])) is fails


def test_each_entry_is_judged_by_its_own_past():
    now = [entry(steps=10, mmd=1.0), entry(steps=20, mmd=0.2), entry(recipe="ddpm", mmd=9.0)]
    old = [entry(steps=20, mmd=0.1), entry(steps=10, mmd=1.0)]
    assert failures("mmd>+50%", now, old) == ["ddim, 20 steps: mmd is 0.2, above 0.15"]


def test_a_figure_that_is_no_number_fails():
    assert failures("mmd>5", [entry(mmd=float("nan"))])


def test_a_recipe_without_the_figure_is_passed_over():
    assert failures("rmse>0.01", [entry(rmse=None), entry(steps=20, rmse=0.5)]) == [
        "ddim, 20 steps: rmse is 0.5, above 0.01"
    ]


@pytest.mark.parametrize("text", ["", "mmd", "mmd=3", "mmd>", ">3", "mmd>5%", "mmd>x", "mmd>>3", "mmd>+"])
def test_what_is_no_limit(text):
    with pytest.raises(UsageError, match="--fail-if"):
        Gate.parse(text)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(UsageError, match="no figure 'mdm'") as error:
        failures("mdm>3", [entry()])
    assert "mmd" in error.value.hint
    with pytest.raises(UsageError, match="is a change"):
        failures("mmd>+3%", [entry()])
    with pytest.raises(UsageError, match="the baseline has no mmd"):
        failures("mmd>+3%", [entry()], [entry(steps=11)])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"entries": 3}', '{"entries": [3]}', '{"entries": [{}]}', "[" * 9999]
)
def test_a_baseline_that_is_none(text, tmp_path):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(DtoolError, match=r"old\.json is no comparison"):
        read_baseline(path)
    with pytest.raises(DtoolError, match="cannot read"):
        read_baseline(tmp_path / "absent.json")


def test_a_baseline_that_is_one(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"entries": [entry()]}))
    assert read_baseline(path)["entries"] == [entry()]
