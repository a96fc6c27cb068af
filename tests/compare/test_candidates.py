"""The candidates within a budget of network calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtool.compare.candidates import CallBudget, find_largest_plan, plan_within_budget
from dtool.errors import UsageError
from dtool.plan import plan
from dtool.plan.linear_map import fingerprint
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.targets import target

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
