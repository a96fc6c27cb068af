"""`dtool recommend` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import dtool
from dtool.cli.commands import recommend as command
from dtool.compare import guidance_interval
from dtool.compare.guidance_interval import find_guidance_interval
from dtool.compare.recommendation import recommend
from dtool.targets import target
from tests.support.commandline import failed, network, ran, use_network
from tests.support.fitted_plans import make_plan


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_the_command(capsys, monkeypatch):
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": network())
    document = json.loads(
        ran(capsys, "recommend", "gmm:d=1", "--calls", 4, "--recipe", "ddim", "--recipe", "heun", "--json").out
    )
    assert document["calls"] <= 4
    assert {c["recipe"] for c in document["candidates"]} == {"ddim", "heun"}
    shown = ran(capsys, "recommend", "--calls", 2, "--recipe", "ddim", "--recipe", "dpmpp-2m")
    assert shown.code == 0, shown.err
    assert "with --steps 2" in shown.out.splitlines()[-1]
    failed(ran(capsys, "recommend"), 2, "a budget is a number of calls or of milliseconds", "--calls")
    for calls in (0, -1, "nan", "inf"):
        failed(ran(capsys, "recommend", f"--calls={calls}"), 2, "'--calls'")
    for ms in ("nan", "inf", "-inf", "-3", "0"):
        failed(ran(capsys, "recommend", "gmm:d=2", f"--ms={ms}"), 2, f"ms={ms} is not a time", "milliseconds")
    judged = ["recommend", "gmm:d=2", "--calls", 4, "--classifier", "missing.onnx"]
    failed(ran(capsys, *judged), 2, "--classifier missing.onnx has no real images", "--data")


def test_a_plan_is_fitted_and_takes_part(capsys, monkeypatch, tmp_path):
    net = use_network(monkeypatch, tmp_path, network())
    asked = {}

    def fit(net, **options):
        asked.update(options)
        return make_plan(net)

    monkeypatch.setattr("dtool.fit.run.fit", fit)
    words = ("recommend", "--calls", 3, "--guidance", 1, "--no-clip", "--recipe", "ddim")
    found = json.loads(ran(capsys, *words, "--fit", "three.json", "--json").out)
    assert (asked["calls"], asked["guidance"], asked["judge"]) == (3, "1", False)
    assert {one["recipe"] for one in found["candidates"]} == {"ddim~cfg:scale=1.0", "three.json~cfg:scale=1.0"}
    assert dtool.Plan.from_json(Path("three.json").read_text(encoding="utf-8")) == make_plan(net)
    again = json.loads(ran(capsys, *words, "--recipe", "three.json", "--json").out)
    assert [one["rmse"] for one in again["candidates"]] == [one["rmse"] for one in found["candidates"]]
    failed(ran(capsys, *words, "--fit", "three.txt"), 2, "a plan is JSON")
    failed(ran(capsys, "recommend", "--calls", 3, "--guidance", "3@find", "--fit", "f.json"), 2, "one recipe")


@pytest.mark.parametrize("judged", [True, False])
def test_confidence_is_claimed_only_where_it_can_be(exact, capsys, judged):
    recommendation = recommend(exact.network(), calls=3, recipes=["ddim", "heun"])
    command._show(replace(recommendation, judged=judged), False)
    printed = capsys.readouterr()
    assert f"{recommendation.recipe} with --steps {recommendation.steps}" in printed.out
    assert ("of resamples" in printed.err) == judged
    assert ("cannot be judged" in printed.err) != judged


def test_an_interval_of_guidance_is_found(capsys, monkeypatch):
    monkeypatch.setattr(guidance_interval, "find_guidance_interval", partial(find_guidance_interval, images=(12, 8)))
    words = ("recommend", "digits-gmm", "--guidance", "3@find", "--calls", 4)
    shown = ran(capsys, *words)
    assert shown.code == 0, shown.err
    assert "without a classifier it is not known" in shown.err
    found = json.loads(ran(capsys, *words, "--json").out)
    assert (found["scale"], found["calls"], found["plain"]["evaluations"]) == (3.0, 4, 8)
    if found["interval"]:
        low, high = found["interval"]
        assert f"--guidance 3@{low:g}:{high:g}" in shown.out
        card = f"dtool model digits-gmm --default-guidance 3 --guidance-interval={low:g}:{high:g} --remember"
        assert card in shown.err.replace("\n", " ")
    else:
        assert "No interval is surely better" in shown.out


def test_a_search_that_cannot_be_is_refused(capsys):
    for word in ("x@find", "0@find", "inf@find"):
        failed(ran(capsys, "recommend", "digits-gmm", "--guidance", word), 2, "is no scale", "3@find")
    failed(ran(capsys, "recommend", "digits-gmm", "--guidance", "find"), 2, "no guidance at scale 1", "3@find")
    failed(ran(capsys, "recommend", "digits-gmm", "--guidance", "3@find", "--ms", 5), 2, "for one recipe", "--calls")
    two = ("--guidance", 1, "--guidance", 3)
    failed(ran(capsys, "recommend", "digits-gmm", "--calls", 4, *two), 2, "--guidance 1 and --guidance 3", "give one")


def test_evaluations_and_guidance_are_told(capsys):
    words = ("recommend", "digits-gmm", "--calls", 6, "--recipe", "ddim", "--recipe", "dpmpp-2m")
    found = json.loads(ran(capsys, *words, "--guidance", "3@-2:0", "--json").out)
    assert (found["guidance"], found["scale"]) == ("cfg:low=-2.0,high=0.0,scale=3.0", 3.0)
    assert 6 < found["evaluations"] < 12
    assert all(one["calls"] < one["evaluations"] < 12 for one in found["candidates"])


def test_work_that_is_shared_gives_the_same_recommendation(capsys, monkeypatch, tmp_path):
    use_network(monkeypatch, tmp_path, network())
    words = ("recommend", "--calls", 3, "--recipe", "ddim", "--recipe", "heun", "--json", "-q")
    usual, shared = (json.loads(ran(capsys, *words, *more).out) for more in ((), ("--workers", 1)))
    spent = shared["spent"]
    assert shared.pop("spent") > usual.pop("spent"), "which calls have in common, workers do not know"
    assert shared == usual
    for part in ("2/3", "1/3"):  # the first draws what the others do not, and the second finds all there
        assert json.loads(ran(capsys, *words, "--part", part, "--into", "blocks").out) == shared | {"spent": spent}
    other = ran(capsys, *words, "--seed", 4, "--into", "blocks")
    assert other.code == 1
    assert "blocks holds the blocks of another recommendation: seed 0 there, 4 here" in other.err
    refused = ran(capsys, "recommend", "--calls", 3, "--into", "blocks", "--fit", "fit.json")
    assert "a plan is fitted by one process" in refused.err
    refused = ran(capsys, "recommend", "--ms", 3, "--workers", 2)
    assert refused.code == 2
    assert "milliseconds are measured by one process" in refused.err
