"""The candidates within a budget of network calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtool.compare.candidates import (
    LATE_STARTS,
    CallBudget,
    admit_plans,
    find_largest_plan,
    plan_late_starts,
    plan_within_budget,
)
from dtool.errors import UsageError
from dtool.plan import plan
from dtool.plan.linear_map import fingerprint
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.targets import target
from tests.support.fitted_plans import make_plan, write_plan

EULER = ["ddim", "dpm-solver:order=1", "unipc:order=1,corrector=false", "flow-euler", "lms:order=1", "deis:order=1"]


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_names_of_one_method_are_one_candidate(exact):
    """Whatever form a rule is written in; and what differs in its last step alone is another."""
    net = exact.network()
    for calls in (1, 4, 11):
        assert [one.recipe for one in plan_within_budget(net, CallBudget(most=calls), EULER)] == ["ddim"]
        assert len(
            plan_within_budget(net, CallBudget(most=calls), ["ddim", "ddim/karras", "lms:order=1/karras"])
        ) == min(calls, 2)
    others = plan_within_budget(net, CallBudget(most=6), ["ddim", "dpmpp-2m", "lms", "heun", "ddim/karras"])
    assert len({fingerprint(one) for one in others}) == 5
    steps = plan("ddim", steps=6, network=net)
    assert fingerprint(steps) != fingerprint(replace(steps, a=steps.a * (1 + 1e-6)))
    assert fingerprint(steps) == fingerprint(replace(steps, a=steps.a * (1 + 1e-15), recipe="another"))


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 10])
def test_a_candidate_takes_as_many_steps_as_fit(exact, calls):
    """Against trying every number of steps."""
    net = exact.network()
    for name in [entry.name for entry in get_registry().samplers if entry.name not in ("learned-range", "analytic")]:
        if getattr(get_sampler(name), "inverse", False):
            continue
        rows = {}
        for steps in range(1, calls + 1):
            try:
                rows[steps] = plan(name, steps=steps, network=net).rows
            except UsageError:
                continue
        fit = [steps for steps, count in rows.items() if count <= calls]
        largest = find_largest_plan(net, name, CallBudget(most=calls))
        assert (largest.steps if largest else None) == (max(fit) if fit else None), name


@pytest.mark.parametrize("recipe", ["dpmpp-2m", "heun/karras:rho=5.0", "unipc@cosine"])
def test_late_starts_of_a_recipe(exact, recipe):
    net = exact.network()
    late = plan_late_starts(net, CallBudget(most=5), plan(recipe, steps=3, network=net))
    starts = [round(share * 999) for share in LATE_STARTS]
    place = recipe.partition("/")[2]
    for one, start in zip(late, starts, strict=True):
        assert f"start={start}" in one.recipe
        assert one.recipe.startswith(recipe.partition("/")[0])
        assert (f"{place},start" in one.recipe) == bool(place)
        assert one.rows <= 5
    assert plan_late_starts(net, CallBudget(most=5), late[0]) == []


def test_plans_take_part_as_they_are(exact, tmp_path):
    net = exact.network()
    five = plan("unipc/list:times=857;586;414;308;101", steps=5, network=net)
    assert admit_plans(net, CallBudget(most=5), [five]) == [five]
    with pytest.raises(UsageError, match="makes 5 calls, more than the budget"):
        admit_plans(net, CallBudget(most=4), [five])
    with pytest.raises(UsageError, match="is stochastic"):
        admit_plans(net, CallBudget(most=4), [plan("ddpm", steps=2)])
    file = write_plan(tmp_path / "five.json", five)
    assert find_largest_plan(net, file, CallBudget(most=8)).rows == 5
    assert find_largest_plan(net, file, CallBudget(most=4)) is None
    assert plan_late_starts(net, CallBudget(most=5), make_plan(net)) == []
