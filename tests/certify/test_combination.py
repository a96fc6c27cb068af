"""What can be wrong with one combination: its steps, its calls, its end, its prediction."""

from __future__ import annotations

from dtool.certify import combination, grids
from dtool.plan import compile as compile_plan
from dtool.plan import plan
from dtool.samplers import get_sampler as named


def test_the_sweep_sees_a_step_too_many():
    rule, points = named("euler"), grids.by_lam(5)
    plan = compile_plan(rule, points, prediction="x0")
    assert combination.check_shape(rule, plan, 5) == ""
    assert combination.check_shape(rule, plan, 4) == "5 steps"


def test_the_sweep_sees_a_call_that_was_not_stated():
    rule = named("heun")
    plan = compile_plan(rule, grids.by_lam(5), prediction="x0")
    assert combination.check_shape(rule, plan, 5) == ""
    assert "2 network calls in one step; the rule states 1" in combination.check_shape(named("euler"), plan, 5)


def test_calls_are_as_few_as_at_the_start_where_the_grid_has_gone_back():
    again = plan("sa-solver:pece=true/repaint:jump_length=10", scheduler="const", steps=31, prediction="flow")
    assert again.calls_per_step.tolist().count(1) > 1
    assert combination.check_shape(named("sa-solver", pece=True), again, 31) == ""
    fewer = plan("ddim/repaint:jump_length=10", scheduler="const", steps=31, prediction="flow")
    assert "1 network calls in one step" in combination.check_shape(named("sa-solver", pece=True), fewer, 31)


def test_the_sweep_sees_a_prediction_that_is_read_wrongly():
    from dataclasses import replace

    plan = compile_plan(named("euler"), grids.by_lam(5), prediction="v")
    assert combination.check_prediction(plan) == ""
    assert "x0 is off" in combination.check_prediction(replace(plan, c_out=1.001 * plan.c_out))
    assert "x0 is off" in combination.check_prediction(replace(plan, prediction="eps"))
