"""What a rule may ask for inside an interval, and when it asks for nothing."""

from dataclasses import replace

import numpy as np
import pytest

from dtool.errors import CompileError
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.plan.stages import MAX_STAGES, get_max_stages, is_idle, parse_stage
from dtool.samplers import get_sampler
from tests.support.steps import FAR, NEAR

GRID = (FAR, NEAR, NEAR)


def test_how_many_calls_an_interval_may_have():
    assert get_max_stages(get_sampler("heun")) == MAX_STAGES
    assert get_max_stages(replace(get_sampler("heun"), calls_of=None, calls=500)) == 1000


@pytest.mark.parametrize("asked", [NEAR, (1.0, NEAR, NEAR), (NEAR, 1.0), None])
def test_a_request_is_a_guess_and_a_point(asked):
    assert parse_stage((1.0, NEAR)) == (1.0, NEAR)
    with pytest.raises(CompileError, match="it yielded"):
        parse_stage(asked)


@pytest.mark.parametrize(("token", "idle"), [("ddim", True), ("heun", True), ("plms", True), ("unipc", False)])
def test_a_step_of_no_length(token, idle):
    """x stays where it is, whatever the rule would divide by; one that corrects x is asked, in both ways of running."""
    rule = get_sampler(token)
    assert is_idle(rule, NEAR, NEAR) == idle
    assert not is_idle(rule, FAR, NEAR)
    plan = compile_plan(rule, GRID)
    last = plan.rows - 1
    assert (plan.a[last] == 1 and not plan.b[last].any()) == idle
    x = np.linspace(-1, 1, 3)
    before, after = (run_eager(rule, points, lambda x, at: at.sigma * np.tanh(x), x) for points in (GRID[:2], GRID))
    assert np.array_equal(before, after) == idle


def test_only_the_last_step_may_have_no_length():
    with pytest.raises(CompileError, match="points 0 and 1 are the same level"):
        compile_plan(get_sampler("ddim"), (FAR, FAR))
