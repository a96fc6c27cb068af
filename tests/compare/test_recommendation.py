"""`dtool.recommend`: the best recipe within a budget."""

from __future__ import annotations

import pytest

import dtool
from dtool.compare.law_error import make_law
from dtool.compare.recommendation import recommend
from dtool.errors import UsageError
from dtool.targets import target
from tests.support.commandline import network


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


@pytest.mark.parametrize("calls", [4, 9])
def test_a_recommendation_is_the_best_of_what_it_tried(calls):
    net = target("gmm:d=1").network()
    names = ["ddim", "ddim/karras", "dpmpp-2m/logsnr", "heun", "unipc/logsnr"]
    recommendation = recommend(net, calls=calls, recipes=names)
    assert recommendation.calls <= calls
    assert all(c.calls <= calls for c in recommendation.candidates)
    finalists = [c for c in recommendation.candidates if c.left == 0]
    assert recommendation.rmse == min(c.rmse for c in finalists)
    assert 0.2 < recommendation.confidence <= 1
    everything = dtool.compare(net, names, steps=[recommendation.steps], n=64, repeats=1)
    same = next(e for e in everything.entries if e.recipe == recommendation.recipe)
    assert same.solver.rmse == pytest.approx(recommendation.rmse, rel=1.0)


def test_a_plan_of_ones_own_takes_part_and_wins_where_it_is_the_best():
    net = target("gmm:d=1").network()
    fine = dtool.plan("dpmpp-2m/logsnr", steps=9, network=net)
    found = recommend(net, calls=9, recipes=["ddim", "euler/quadratic"], plans=[fine])
    assert found.recipe == fine.recipe
    assert len(found.candidates) == 3


def test_a_recommendation_is_checked_on_the_law(exact):
    law = make_law(exact, 256, ["mmd"], 0, "", None)
    recommendation = recommend(exact.network(), calls=20, recipes=["ddim", "dpmpp-2m"], law=law)
    assert "ddpm" in recommendation.law
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
