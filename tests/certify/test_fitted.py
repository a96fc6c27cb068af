"""Certificates of saved plans, and of fitted ones what their fit found out."""

from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.certify.fitted import measure_consistency
from dtool.guidances import get_guidance
from dtool.targets import target
from tests.support.fitted_plans import HELD_OUT, make_plan, write_plan


def examine(name):
    return {one.name: one for one in dtool.check(name)}


def test_a_saved_plan_is_examined_as_it_is(tmp_path):
    results = examine(write_plan(tmp_path / "four.json", dtool.plan("ddim", steps=4)))
    assert {name: result.status for name, result in results.items()} == {
        "table": "pass", "marginals": "pass", "order": "info", "backends": "pass", "batch": "pass",
    }  # fmt: skip
    assert "ddim" in results["order"].detail
    wrong = replace(dtool.plan("ddim", steps=4), a=0.9 * dtool.plan("ddim", steps=4).a)
    assert examine(write_plan(tmp_path / "wrong.json", wrong))["marginals"].status == "fail"


def test_a_fitted_plan_says_what_it_gave_up_and_for_what(tmp_path):
    plan = make_plan(target("gmm:d=2").network())
    results = examine(write_plan(tmp_path / "fitted.json", plan))
    assert results["marginals"].status == results["order"].status == "info"
    assert "given up" in results["order"].detail
    assert results["held-out"].status == "pass"
    assert "unipc/trailing:start=743 (3 calls) 0.08, ratio 0.63 [0.50, 0.70]" in results["held-out"].detail
    assert results["floor"].figure == "0.047"
    assert results["law"].figure == "1.010"
    assert results["backends"].status == results["batch"].status == "pass"


@pytest.mark.parametrize("recipe", ["ddim~3", "dpmpp-2m-cfgpp"])
def test_a_saved_plan_that_guides_is_run_on_a_network_that_is_told_something(tmp_path, recipe):
    results = examine(write_plan(tmp_path / "guided.json", dtool.plan(recipe, steps=4)))
    assert results["backends"].status == results["batch"].status == "pass"


def test_a_fitted_plan_that_guides_is_run_on_a_network_that_is_told_something(tmp_path):
    plan = make_plan(dtool.default_network(), guidance=get_guidance("cfg", scale=1.5))
    results = examine(write_plan(tmp_path / "guided.json", plan))
    assert results["backends"].status == results["batch"].status == "pass"


def test_a_plan_that_was_fitted_to_the_law_is_judged_by_it(tmp_path):
    of_law = replace(HELD_OUT, rmse=0.1, floor=0.09, median=None)
    plan = make_plan(target("gmm:d=2").network(), kind="law", training=0.02, validation=0.02, held_out=of_law)
    results = examine(write_plan(tmp_path / "law.json", plan))
    assert results["held-out"].status == "pass", "the solution's own images are as far apart as its"
    assert "sliced Wasserstein distance" in results["held-out"].detail
    assert "solution's own images" in results["floor"].detail
    assert results["marginals"].status == "fail", "which such a plan must keep"
    far = replace(plan, fit=replace(plan.fit, held_out=replace(of_law, rmse=0.2)))
    assert examine(write_plan(tmp_path / "far.json", far))["held-out"].status == "fail"


def test_an_overfitted_or_shrunken_plan_fails(tmp_path):
    net = target("gmm:d=2").network()
    over = make_plan(net, training=0.01, validation=0.02)
    assert examine(write_plan(tmp_path / "over.json", over))["held-out"].status == "fail"
    shrunken = make_plan(net, held_out=replace(HELD_OUT, deviation=0.9))
    assert examine(write_plan(tmp_path / "shrunken.json", shrunken))["law"].status == "fail"
    unjudged = examine(write_plan(tmp_path / "unjudged.json", make_plan(net, held_out=None)))
    assert unjudged["held-out"].status == unjudged["floor"].status == "skip"


def test_a_consistent_row_changes_no_constant_image():
    for name in ("ddim", "dpmpp-2m", "deis"):
        for plan in (dtool.plan(name, steps=5),):
            assert np.abs(measure_consistency(plan)).max() < 1e-9
    assert measure_consistency(make_plan(target("gmm:d=2").network())).min() > 0.1
