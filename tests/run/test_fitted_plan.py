"""A fitted plan runs on what it was fitted for, and on nothing else unless it is forced."""

import warnings

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.clipping import Clipping, Threshold
from dtool.run.fitted_plan import describe_clipping
from dtool.targets import target
from tests.support.fitted_plans import make_plan, write_plan


@pytest.fixture(scope="module")
def net():
    return target("digits-gmm").network()


def test_it_runs_where_it_was_fitted_without_a_warning_of_its_late_start(net):
    plan = make_plan(net, dtool.get_guidance("2"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = dtool.sample(net, plan, n=3)
    assert out.evaluations == 6


def test_another_network_guidance_or_clipping_is_refused(net, tmp_path):
    plan = make_plan(net, dtool.get_guidance("2"))
    other = dtool.network(lambda x, t, label: 0.3 * x, shape=(1, 8, 8), classes=10)
    with pytest.raises(UsageError, match="was fitted for another network"):
        dtool.sample(other, plan, n=2)
    with pytest.raises(UsageError, match="was fitted with guidance 2, not 1"):
        dtool.sample(net, plan, n=2, guidance=1.0)
    with pytest.raises(UsageError, match="was fitted without clipping"):
        dtool.sample(net, plan, n=2, clip=True)
    clipped = make_plan(net, clip="-1:1")
    with pytest.raises(UsageError, match="kept to -1:1"):
        dtool.sample(net, clipped, n=2)
    assert dtool.sample(net, clipped, n=2, clip=True).calls == 3
    with pytest.raises(UsageError, match="with a weaker network"):
        dtool.sample(net, make_plan(net, autoguided=True), n=2)
    name = write_plan(tmp_path / "plan.json", plan)
    assert np.isfinite(dtool.sample(other, f"{name}:force=true", n=2).x0).all()


def test_clipping_has_a_word():
    assert describe_clipping(None) == ""
    assert describe_clipping(Clipping(-1, 1)) == "-1:1"
    assert describe_clipping(Clipping(0, 1, *Threshold(0.995, 1.5))) == "0:1 at 0.995:1.5"


def test_it_cannot_begin_at_an_image(net):
    image = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(UsageError, match="was fitted to begin at noise"):
        dtool.sample(net, make_plan(net), n=1, image=image, strength=0.7)


def test_it_is_compared_with_the_solution_from_the_start(net):
    plan = make_plan(target("gmm:d=2").network())
    solutions = dtool.compare.ReferenceSolutions(target("gmm:d=2").network(), n=4)
    assert solutions.find_obstacle(plan) == ""
    assert solutions.solution(plan).end == dtool.plan.CLEAN
