"""`--fail-if`: limits on figures, alone and against an earlier comparison."""

from __future__ import annotations

import json

import pytest

from dtool.compare.entry_identity import EntryKey
from dtool.compare.gate import Gate, read_baseline
from dtool.errors import DtoolError, UsageError


def entry(recipe="ddim", steps=10, mmd=0.5, rmse=0.1, seconds=2.0):
    figures = {} if mmd is None else {"mmd": {"value": mmd, "low": mmd, "high": mmd, "z": 0.0, "p": None}}
    solver = None if rmse is None else {"rmse": rmse, "psnr": 20.0, "low": 0.0, "high": 1.0, "judged": True}
    return {"recipe": recipe, "steps": steps, "figures": figures, "solver": solver, "seconds": seconds, "calls": steps}


def beyond(text, entries, old=None, n=None, before=None, **more):
    earlier = None if old is None else {"entries": old, "n": before}
    return list(Gate.parse(text).find_violations({"entries": entries, "n": n}, earlier, **more))


def failures(text, entries, old=None):
    return [one.line for one in beyond(text, entries, old) if one.sure]


def within(reach, **more):
    """An entry with an interval of MMD."""
    own_entry = entry(**more)
    value = own_entry["figures"]["mmd"]["value"]
    own_entry["figures"]["mmd"] |= {"low": value - reach, "high": value + reach}
    return own_entry


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


@pytest.mark.parametrize(
    ("text", "now", "fails"),
    [("mmd>+5%", -0.49, False), ("mmd>+5%", -0.47, True), ("mmd<-5%", -0.51, False), ("mmd<-5%", -0.53, True)],
)
def test_per_cent_of_a_figure_below_zero_are_of_its_size(text, now, fails):
    assert bool(failures(text, [entry(mmd=now)], [entry(mmd=-0.5)])) is fails


def test_each_entry_is_judged_by_its_own_past():
    now = [entry(steps=10, mmd=1.0), entry(steps=20, mmd=0.2), entry(recipe="ddpm", mmd=9.0)]
    old = [entry(steps=20, mmd=0.1), entry(steps=10, mmd=1.0)]
    assert failures("mmd>+50%", now, old) == ["ddim, 20 steps: mmd is 0.2, above 0.15"]


def test_a_figure_that_is_no_number_fails():
    assert failures("mmd>5", [entry(mmd=float("nan"))])


@pytest.mark.parametrize(("text", "before", "now"), [("mmd>+10%", 1.0, 1.6), ("mmd<-10%", 1.0, 0.4)])
@pytest.mark.parametrize(("reach", "sure"), [(0.3, True), (0.4, False)])
def test_a_change_fails_only_beyond_what_chance_explains(text, before, now, reach, sure):
    """Beyond the limit by 0.5; the intervals together reach √(0.3² + (1.1 · 0.3)²) = 0.446, or 0.595."""
    (one,) = beyond(text, [within(reach, mmd=now)], [within(reach, mmd=before)])
    assert one.sure is sure
    assert one.line.endswith("but by no more than chance explains") is not sure


def test_one_interval_is_better_than_none():
    assert not beyond("mmd>+10%", [within(0.6, mmd=1.6)], [entry(mmd=1.0)])[0].sure
    assert not beyond("mmd>+10%", [entry(mmd=1.6)], [within(0.6, mmd=1.0)])[0].sure


def test_a_limit_of_its_own_holds_for_the_value():
    assert beyond("mmd>1.5", [within(0.6, mmd=1.6)])[0].sure


def test_what_was_measured_and_is_no_number_fails():
    """JSON has null for it."""
    bad = entry()
    bad["figures"]["mmd"]["value"] = bad["solver"]["rmse"] = bad["solver"]["psnr"] = None
    assert failures("mmd>5", [bad])
    assert failures("psnr<5", [bad])
    assert failures("mmd>+5%", [bad], [entry()])
    assert not failures("mmd>+5%", [entry()], [bad])


def test_another_number_of_images_is_refused_where_the_figure_depends_on_it():
    now, old = [entry(seconds=5.0)], [entry()]
    for text in ("mmd>+5%", "mmd>+0.1", "seconds>+5%", "rmse>+5%"):
        with pytest.raises(UsageError, match=r"depends on the number of images: 4 here, 20 in the baseline") as error:
            beyond(text, now, old, n=4, before=20)
        assert "-n 20" in error.value.hint
    assert beyond("mmd>+5%", now, old, n=4, before=20, steady=True) == []
    assert beyond("calls>+5%", now, old, n=4, before=20) == []
    assert beyond("rmse>+5%", now, old, n=50, before=20) == [], "both are of the first few"
    assert beyond("mmd>0.6", now, old, n=4, before=20) == []


def test_what_there_cannot_be_is_refused_before():
    gate, old = Gate.parse("mmd>+5%"), {"entries": [entry()], "n": 16}
    gate.require(old, {"mmd"})
    gate.require_same(old, {EntryKey("ddim", 10, "")}, None, steady=False)
    with pytest.raises(UsageError, match="no figure 'mmd' here") as error:
        gate.require(old, {"fd"}, {"mmd": "add --data"})
    assert error.value.hint == "add --data"
    with pytest.raises(UsageError, match="the baseline has no mmd"):
        gate.require({"entries": [entry(mmd=None)]}, {"mmd"})
    with pytest.raises(UsageError, match="is a change"):
        gate.require(None, {"mmd"})
    with pytest.raises(UsageError, match="the baseline has no mmd"):
        gate.require_same(old, {EntryKey("ddim", 11, "")}, 16, steady=False)
    with pytest.raises(UsageError, match="8 here, 16 in the baseline"):
        gate.require_same(old, {EntryKey("ddim", 10, "")}, 8, steady=False)


def test_what_could_not_be_measured_is_told_with_the_reason():
    now = {"entries": [entry(mmd=None, rmse=None) | {"why_no_solver": "it adds noise"}],
           "metrics": [{"name": "mmd", "skipped": "4 are too few"}]}  # fmt: skip
    with pytest.raises(UsageError, match="no recipe has the figure 'mmd': 4 are too few"):
        list(Gate.parse("mmd>3").find_violations(now, None))
    with pytest.raises(UsageError, match="no recipe has the figure 'rmse': it adds noise"):
        list(Gate.parse("rmse>3").find_violations(now, None))


def test_a_recipe_without_the_figure_is_passed_over():
    assert failures("rmse>0.01", [entry(rmse=None), entry(steps=20, rmse=0.5)]) == [
        "ddim, 20 steps: rmse is 0.5, above 0.01"
    ]


@pytest.mark.parametrize("text", ["", "mmd", "mmd=3", "mmd>", ">3", "mmd>5%", "mmd>x", "mmd>>3", "mmd>+"])
def test_what_is_no_limit(text):
    with pytest.raises(UsageError, match="--fail-if"):
        Gate.parse(text)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(UsageError, match="the figure 'mdm'") as error:
        failures("mdm>3", [entry()])
    assert "mmd" in error.value.hint
    with pytest.raises(UsageError, match="the baseline has no mmd"):
        failures("mmd>+3%", [entry()], [entry(steps=11)])


def test_a_figure_may_have_options():
    assert Gate.parse("recall:k=3<0.5").figure == "recall:k=3"


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
