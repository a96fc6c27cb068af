"""Which entry is which in another comparison."""

from __future__ import annotations

import pytest

from dtool.compare.entry_identity import (
    EntryKey,
    describe_guidance,
    find_counterpart,
    identify_entry,
    list_other_guidances,
)


def entry(recipe="ddim", steps=10, guidance="", scale=1.0):
    return {"recipe": recipe, "steps": steps, "guidance": guidance, "scale": scale}


def guided(scale=3.0, ends=""):
    token = f"cfg:scale={scale}{ends}"
    return entry(f"ddim~{token}", guidance=token, scale=scale)


OLD = {"recipe": "ddim", "steps": 10}


@pytest.mark.parametrize(
    ("token", "scale", "text"),
    [
        ("", 1.0, "none"),
        ("", 1.5, "1.5"),
        ("cfg:scale=1.0", 1.0, "none"),
        ("cfg:scale=3.0", 3.0, "3"),
        ("cfg:scale=3.0,low=-1.3", 3.0, "3@-1.3:"),
        ("cfg:scale=3.0,high=0.3", 3.0, "3@:0.3"),
        ("cfg:low=-1.3,high=0.3", 2.0, "2@-1.3:0.3"),
        ("cfg:scale=3.0,rescale=0.7", 3.0, "cfg:scale=3.0,rescale=0.7"),
        ("cfgpp", 0.6, "cfgpp, scale 0.6"),
        ("cfgpp:scale=1.0", 1.0, "cfgpp:scale=1.0"),
        ("what is this", 2.0, "what is this, scale 2"),
    ],
)
def test_guidance_is_described_as_it_is_typed(token, scale, text):
    assert describe_guidance(token, scale) == text


def test_an_entry_is_its_sampler_steps_and_guidance():
    assert identify_entry(guided()) == EntryKey("ddim", 10, "3")
    assert identify_entry(guided()) == identify_entry(entry(scale=3.0)), "the network's own scale, or the same typed"
    assert not identify_entry(guided()).matches(identify_entry(entry()))
    assert not identify_entry(guided()).matches(identify_entry(guided(ends=",low=-1.0")))
    assert identify_entry(OLD).matches(identify_entry(guided())), "it is not known of the one"
    assert not identify_entry(OLD).matches(identify_entry(entry("heun")))


def test_a_counterpart_is_of_the_same_guidance_or_does_not_say():
    assert find_counterpart(identify_entry(guided()), [entry(), guided()]) == guided()
    assert find_counterpart(identify_entry(guided()), [entry()]) is None
    assert find_counterpart(identify_entry(guided()), [OLD, guided()]) == guided()
    assert find_counterpart(identify_entry(guided()), [OLD]) == OLD


def test_a_baseline_of_another_guidance_is_told():
    (line,) = list_other_guidances({"entries": [guided()]}, {"entries": [entry(), entry("heun"), entry(scale=2.0)]})
    assert line == "ddim, 10 steps: the baseline's guidance is none and 2, not 3: they are not compared"
    (line,) = list_other_guidances({"entries": [guided()]}, {"entries": [OLD]})
    assert line == "ddim, 10 steps: the baseline does not say its guidance; here it is 3"
    for now, old in ((guided(), guided()), (entry(), entry()), (entry(), OLD), (guided(), entry("heun"))):
        assert list(list_other_guidances({"entries": [now]}, {"entries": [old]})) == []
    assert list(list_other_guidances({"entries": [entry()]}, {})) == []
