"""`dtool.recommend` and `dtool recommend`: the best recipe within a budget."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from commandline import failed, network, ran

import dtool
from dtool.cli import recommend as command
from dtool.compare.field import largest, within
from dtool.compare.law import law_of
from dtool.compare.recommend import recommend
from dtool.errors import UsageError
from dtool.plan import plan
from dtool.plan.unrolled import fingerprint
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.targets import target

EULER = ["ddim", "dpm-solver:order=1", "unipc:order=1,corrector=false", "flow-euler", "lms:order=1", "deis:order=1"]


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_names_of_one_method_are_one_candidate(exact):
    """Whatever form a rule is written in; and what differs in its last step alone is another."""
    net = exact.network()
    for calls in (1, 4, 11):
        assert [one.recipe for one in within(net, calls, EULER)] == ["ddim"]
        assert len(within(net, calls, ["ddim", "ddim/karras", "lms:order=1/karras"])) == min(calls, 2)
    others = within(net, 6, ["ddim", "dpmpp-2m", "lms", "heun", "ddim/karras"])
    assert len({fingerprint(one) for one in others}) == 5
    steps = plan("ddim", steps=6, network=net)
    assert fingerprint(steps) != fingerprint(replace(steps, a=steps.a * (1 + 1e-6)))
    assert fingerprint(steps) == fingerprint(replace(steps, a=steps.a * (1 + 1e-15), recipe="another"))


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 10])
def test_a_candidate_takes_as_many_steps_as_fit(exact, calls):
    """Against trying every number of steps."""
    net = exact.network()
    for name in [entry.name for entry in registry().samplers if entry.name not in ("learned-range", "analytic")]:
        if getattr(sampler(name), "inverse", False):
            continue
        rows = {}
        for steps in range(1, calls + 1):
            try:
                rows[steps] = plan(name, steps=steps, network=net).rows
            except UsageError:
                continue
        fit = [steps for steps, count in rows.items() if count <= calls]
        found = largest(net, name, calls)
        assert (found.steps if found else None) == (max(fit) if fit else None), name


@pytest.mark.parametrize("calls", [4, 9])
def test_a_recommendation_is_the_best_of_what_it_tried(calls):
    net = target("gmm:d=1").network()
    names = ["ddim", "ddim/karras", "dpmpp-2m/logsnr", "heun", "unipc/logsnr"]
    found = recommend(net, calls=calls, recipes=names)
    assert found.calls <= calls
    assert all(c.calls <= calls for c in found.candidates)
    finalists = [c for c in found.candidates if c.left == 0]
    assert found.rmse == min(c.rmse for c in finalists)
    assert 0.2 < found.confidence <= 1
    everything = dtool.compare(net, names, steps=[found.steps], n=64, repeats=1)
    same = next(e for e in everything.entries if e.recipe == found.recipe)
    assert same.solver.rmse == pytest.approx(found.rmse, rel=1.0)


def test_a_recommendation_is_checked_on_the_law(exact):
    law = law_of(exact, 256, ["mmd"], 0, "", None)
    found = recommend(exact.network(), calls=20, recipes=["ddim", "dpmpp-2m"], law=law)
    assert "ddpm" in found.law
    poor = recommend(exact.network(), calls=3, recipes=["ddpm:sigma=none"], law=law)
    assert "better at 3 calls" in poor.law


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({}, "a budget is"),
        ({"calls": 5, "ms": 3.0}, "a budget is"),
        ({"ms": 1e-9}, "nothing fits"),
        ({"calls": 5, "recipes": ["ddpm"]}, "is stochastic"),
        ({"calls": 5, "recipes": ["dimm"]}, "no sampler"),
        ({"calls": 5, "recipes": []}, "no recipe to choose"),
    ],
)
def test_what_cannot_be_recommended(options, cause):
    with pytest.raises(UsageError, match=cause):
        recommend(network(), **options)


def test_the_command(capsys, monkeypatch):
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": network())
    found = json.loads(
        ran(capsys, "recommend", "gmm:d=1", "--calls", 4, "--recipe", "ddim", "--recipe", "heun", "--json").out
    )
    assert found["calls"] <= 4
    assert {c["recipe"] for c in found["candidates"]} == {"ddim", "heun"}
    shown = ran(capsys, "recommend", "--calls", 2, "--recipe", "ddim", "--recipe", "dpmpp-2m")
    assert shown.code == 0, shown.err
    assert "with --steps 2" in shown.out.splitlines()[-1]
    failed(ran(capsys, "recommend"), 2, "a budget is a number of calls or of milliseconds", "--calls")
    for calls in (0, -1, "nan", "inf"):
        failed(ran(capsys, "recommend", f"--calls={calls}"), 2, "'--calls'")
    for ms in ("nan", "inf", "-inf", "-3", "0"):
        failed(ran(capsys, "recommend", "gmm:d=2", f"--ms={ms}"), 2, f"ms={ms} is no time", "milliseconds")
    judged = ["recommend", "gmm:d=2", "--calls", 4, "--classifier", "missing.onnx"]
    failed(ran(capsys, *judged), 2, "--classifier missing.onnx has no real images", "--data")


@pytest.mark.parametrize("judged", [True, False])
def test_confidence_is_claimed_only_where_it_can_be(exact, capsys, judged):
    found = recommend(exact.network(), calls=3, recipes=["ddim", "heun"])
    command._show(replace(found, judged=judged), False)
    said = capsys.readouterr()
    assert f"{found.recipe} with --steps {found.steps}" in said.out
    assert ("of resamples" in said.err) == judged
    assert ("cannot be judged" in said.err) != judged
