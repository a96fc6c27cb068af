"""The guidance of a solution: as strong at each λ as in the plan that is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.compare.guided_path import find_obstacle_of_guidance, guide_alike, identify_guidance
from dtool.compare.solver import ReferenceSolutions, reference_solution
from dtool.errors import UsageError
from dtool.targets import target


@pytest.fixture(scope="module")
def exact():
    return target("digits-gmm").network()


def test_an_interval_is_one_of_levels_whatever_the_steps(exact):
    judged = dtool.plan("ddim~3@-1.3:0.3", steps=7, network=exact)
    fine = guide_alike(dtool.plan("unipc/karras", steps=40, network=exact), judged)
    np.testing.assert_array_equal(fine.guided, (fine.lam >= -1.3) & (fine.lam <= 0.3))
    assert (fine.guidance, fine.scale) == (judged.guidance, 3.0)
    plain = dtool.plan("ddim", steps=7, network=exact)
    assert guide_alike(plain, plain) is plain


def test_guidance_that_grows_along_the_run_grows_over_the_levels_of_the_judged_plan(exact):
    judged = dtool.plan("heun~cfg-linear:scale=3", steps=6, network=exact)
    starts = judged.step_starts
    same = guide_alike(dtool.plan("ddim", steps=6, network=exact), judged)
    np.testing.assert_allclose(same.guided, judged.guided[starts], atol=1e-12)
    elsewhere = guide_alike(dtool.plan("ddim/karras", steps=30, network=exact), judged)
    assert (np.diff(elsewhere.guided) >= 0).all()
    late = elsewhere.lam > judged.lam[starts][-1]
    assert (elsewhere.guided[late] == judged.guided[starts][-1]).all()


def test_plans_of_one_guidance_have_one_solution_unless_it_counts_the_progress(exact):
    def identity(recipe, steps):
        return identify_guidance(dtool.plan(recipe, steps=steps, network=exact))

    assert identity("ddim~3@-1:0", 5) == identity("heun~3@-1:0", 9)
    assert identity("ddim~3@-1:0", 5) != identity("ddim~3@-1:0.5", 5)
    assert identity("ddim~cfg-linear:scale=3", 5) != identity("ddim~cfg-linear:scale=3", 6)
    assert identity("ddim", 5) == ("", "")


@pytest.mark.parametrize("guidance", ["3@-1.3:0.3", "2", "cfg-cosine:scale=2"])
def test_more_steps_lead_to_the_solution_of_the_guided_ode_and_to_no_other(exact, guidance):
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8))
    references = ReferenceSolutions(exact, x=x, most=128)
    plans = [dtool.plan(f"ddim~{guidance}", steps=steps, network=exact) for steps in (10, 40, 160)]
    errors = [references.judge(plan, references.draw(plan))[0].rmse for plan in plans]
    assert errors[2] < errors[1] / 2 < errors[0] / 4
    others = ReferenceSolutions(exact, x=x, most=128)
    plain = dtool.plan("ddim~5", steps=160, network=exact)
    assert others.judge(plain, references.draw(plans[2]))[0].rmse > 5 * errors[2], "a different ODE"


def test_what_leads_to_no_limit_has_no_solver_error(exact):
    references = ReferenceSolutions(exact, n=2)
    plan = dtool.plan("ddim~cfgpp:scale=0.6", steps=5, network=exact)
    error, why = references.judge(plan, np.zeros((2, 1, 8, 8)))
    assert error is None
    assert "cfgpp leads to no limit as steps are added" in why
    with pytest.raises(UsageError, match="leads to no limit"):
        reference_solution(exact, n=2, guidance="cfgpp:scale=0.6")
    nameless = replace(dtool.plan("ddim", steps=5, network=exact), guided=np.linspace(0, 1, 5))
    assert "has no name" in find_obstacle_of_guidance(nameless)
    unknown = replace(dtool.plan("ddim", steps=5, network=exact), guidance="somebodys:scale=2.0", scale=2.0)
    assert "is not registered" in find_obstacle_of_guidance(unknown)
    assert references.find_obstacle(dtool.plan("ddim~3@-1:0", steps=5, network=exact)) == ""
