"""Plans that begin late: the last steps of a grid, compiled as a whole one is, or cut off where that is the same."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.plan.late_start import count_late_steps, cut_plan, find_first_row


@pytest.mark.parametrize(("steps", "strength", "taken"), [(50, 0.6, 30), (100, 0.29, 29), (7, 0.5, 3), (4, 1, 4)])
def test_the_share_of_steps_is_rounded_down_and_exact(steps, strength, taken):
    assert count_late_steps(steps, strength) == taken


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_is_refused(strength):
    with pytest.raises(UsageError, match="is not between 0 and 1") as error:
        count_late_steps(10, strength)
    assert error.value.hint


def test_a_strength_that_leaves_no_step_is_refused_with_the_least_that_does():
    with pytest.raises(UsageError, match=r"strength 0\.05 of 10 steps is none") as error:
        dtool.plan("ddim", steps=10, strength=0.05)
    assert "use 0.1 or more" in error.value.hint


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "heun", "dpmpp-2m/karras", "dpmpp-2m-sde", "ddpm/repaint"])
def test_a_late_plan_has_the_levels_of_the_last_steps(recipe):
    whole = dtool.plan(recipe, steps=20)
    late = dtool.plan(recipe, steps=20, strength=0.35)
    first = find_first_row(whole, 0.35)
    assert late.steps == 7
    assert np.array_equal(late.alpha, whole.alpha[first:])
    assert np.array_equal(late.sigma, whole.sigma[first:])
    assert late.init == pytest.approx(np.hypot(whole.alpha[first], whole.sigma[first]))


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "heun", "ddim:eta=0.5", "ddpm/repaint"])
def test_rows_that_stand_alone_are_cut_off_as_the_shorter_grid_compiles(recipe):
    late = cut_plan(dtool.plan(recipe, steps=20), 0.35)
    assert late == dtool.plan(recipe, steps=20, strength=0.35)


def test_rows_that_use_earlier_ones_are_not_cut_off():
    assert cut_plan(dtool.plan("dpmpp-2m", steps=20), 0.5) is None


def test_a_method_of_several_steps_begins_anew():
    late = dtool.plan("dpmpp-2m", steps=20, strength=0.5)
    assert late.b[0, 1:].tolist() == [0.0]
    assert (late.b[1:-1, 1] != 0).all()
