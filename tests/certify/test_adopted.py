"""Certificates of other libraries' samplers: methods are told, and defects named."""

import importlib.util

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

import dtool
from dtool.certify.adopted import adopt, find_end, measure_marginals, measure_order
from dtool.plan import CLEAN, Recipe

MULTI = "diffusers:DPMSolverMultistepScheduler"


def examine(token, *names):
    return {one.__name__: one() for one in dtool.certify.checks(token) if not names or one.__name__ in names}


def test_a_right_sampler_passes():
    results = examine(MULTI)
    assert {name: result.status for name, result in results.items()} == {
        "adopted": "pass", "marginals": "pass", "same": "pass", "order": "info", "ends": "pass", "backends": "pass",
        "batch": "pass",
    }  # fmt: skip
    assert "it is dpmpp-2m on this grid" in results["same"].detail


def test_ddim_on_linspace_is_told_another_level_than_that_of_x():
    results = examine("diffusers:DDIMScheduler:timestep_spacing=linspace", "marginals", "same")
    assert results["marginals"].status == "fail"
    assert "another level than that of x" in results["marginals"].detail
    assert results["same"].status == "info"


def test_a_step_too_many_is_found():
    result = examine("diffusers:DDIMScheduler:timestep_spacing=trailing", "ends")["ends"]
    assert result.status == "fail"
    assert (
        "61 steps: diffusers:DDIMScheduler:timestep_spacing=trailing: at network call 62 it is at time -1"
        in result.detail
    )


def test_third_order_is_second():
    """DPM-Solver++(3M) as published; UniPC of order 3 is more."""
    assert measure_order(Recipe.parse(f"{MULTI}:solver_order=3"), (32, 64, 128)).slope == pytest.approx(2, abs=0.25)
    assert measure_order(Recipe.parse(MULTI)).slope == pytest.approx(2, abs=0.15)
    assert measure_order(Recipe.parse("diffusers:DDIMScheduler:clip_sample=false")).slope == pytest.approx(1, abs=0.15)
    assert measure_order(Recipe.parse("diffusers:DDPMScheduler")).slope == pytest.approx(1, abs=0.15)


def test_a_grid_of_one_step_has_no_order():
    order = measure_order(Recipe.parse(MULTI), (4,))
    assert order.slope != order.slope


def test_where_a_plan_ends():
    assert find_end(adopt(Recipe.parse("diffusers:DDIMScheduler"), 5).plan) == CLEAN
    end = find_end(adopt(Recipe.parse("diffusers:DDIMScheduler:set_alpha_to_one=false"), 5).plan)
    first = dtool.get_scheduler("linear")
    assert (end.alpha, end.sigma) == pytest.approx((first.alpha[0], first.sigma[0]), rel=1e-9)


def test_an_inversion_is_examined_without_what_begins_at_noise():
    results = examine("diffusers:DDIMInverseScheduler:clip_sample=false")
    assert {name: result.status for name, result in results.items()} == dict.fromkeys(
        ("adopted", "ends", "backends"), "pass"
    )


def test_marginals_are_measured_in_units_of_the_level():
    mean, variance, _ = measure_marginals(adopt(Recipe.parse("diffusers:EulerDiscreteScheduler"), 9).plan)
    assert max(mean, variance) < 1e-12


@pytest.mark.skipif(importlib.util.find_spec("k_diffusion") is None, reason="k-diffusion is not installed")
def test_a_function_is_examined_on_a_grid_of_dtools():
    results = examine("k-diffusion:sample_heun/karras", "adopted", "marginals", "same")
    assert [result.status for result in results.values()] == ["pass"] * 3
    assert "it is heun on this grid" in results["same"].detail
