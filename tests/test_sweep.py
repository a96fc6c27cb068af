"""Every combination works or is refused. `pytest -s tests/test_sweep.py` prints the counts of each sampler."""

from __future__ import annotations

import re

import pytest

from dtool.errors import DtoolError
from dtool.plan import compile as compile_plan
from dtool.plugins.registry import registry
from dtool.samplers import sampler as named
from dtool.samplers.rule import sampler
from dtool.testing import combination, grids, sweep
from dtool.testing.sweep import _runs

SAMPLERS = sweep.samplers()
PAIR = ("linear", "trailing")


@pytest.mark.parametrize(
    ("turn", "token"),
    [pytest.param(i, token, marks=pytest.mark.xdist_group(f"sweep {token}")) for i, token in enumerate(SAMPLERS)],
    ids=SAMPLERS,
)
def test_every_combination_works_or_is_refused_with_a_reason(turn, token):
    found = sweep.sweep(token, turn)
    print(f"\n{token}: {found.ran} ran, {found.refused.total()} refused")
    for reason, count in found.refused.most_common():
        print(f"  {count:6} {reason}")
    assert not found.wrong, found.wrong[:20]
    assert found.ran > found.refused.total()


def test_nothing_registered_is_left_out():
    assert {e.name for e in registry().samplers} <= set(SAMPLERS)
    assert {e.name for e in registry().spacings} <= set(sweep.spacings())
    assert {e.name for e in registry().schedulers} <= {*sweep.schedules(), "betas"}


def test_the_thinned_pairs_meet_every_schedule_and_every_spacing():
    for turn in range(3):
        pairs = sweep._some_pairs(turn)
        assert {levels for levels, _ in pairs} == set(sweep.schedules())
        assert {place for _, place in pairs} == set(sweep.spacings())


def test_the_sweep_sees_a_step_too_many():
    rule, points = named("euler"), grids.by_lam(5)
    plan = compile_plan(rule, points, prediction="x0")
    assert combination.wrong_shape(rule, plan, 5) == ""
    assert combination.wrong_shape(rule, plan, 4) == "5 steps"


def test_the_sweep_sees_a_call_that_was_not_stated():
    rule = named("heun")
    plan = compile_plan(rule, grids.by_lam(5), prediction="x0")
    assert combination.wrong_shape(rule, plan, 5) == ""
    assert "2 network calls in a step; the rule states 1" in combination.wrong_shape(named("euler"), plan, 5)


def test_the_sweep_sees_a_result_that_is_not_finite():
    @sampler("explodes", order=1)
    def explodes(now, to):
        return 1e300 * now.x + now.x0

    tally = _runs(explodes, PAIR, (2, 3))
    assert tally.ran == 0
    assert re.search(r"explodes@linear/trailing, 3 steps, eps: x ends at (inf|nan)", "\n".join(tally.wrong))


def test_the_sweep_sees_a_prediction_that_is_read_wrongly():
    from dataclasses import replace

    plan = compile_plan(named("euler"), grids.by_lam(5), prediction="v")
    assert combination.wrong_prediction(plan) == ""
    assert "x0 is off" in combination.wrong_prediction(replace(plan, c_out=1.001 * plan.c_out))
    assert "x0 is off" in combination.wrong_prediction(replace(plan, prediction="eps"))


def test_a_crash_is_no_refusal():
    @sampler("crashes", order=1)
    def crashes(now, to):
        return now.x0 / 0 if to.sigma == 0 else now.x0

    tally = _runs(crashes, PAIR, (1,))  # the compiler catches it, and hints; that is not yet a reason
    assert not tally.refused
    assert "ZeroDivisionError" in tally.wrong[0]


def test_a_refusal_without_a_hint_is_wrong(monkeypatch):
    def refuse(*_, **__):
        raise DtoolError("no")

    monkeypatch.setattr(sweep, "compile_plan", refuse)
    tally = _runs(named("euler"), PAIR, (3,))
    assert len(tally.wrong) == 4
    assert not tally.refused
