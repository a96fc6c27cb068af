"""Solver error on laws whose probability-flow ODE is solved exactly."""

import warnings

import numpy as np
import pytest

import dtool
from dtool.compare.ode_path import find_other_limit, make_solving_grid
from dtool.compare.paired_errors import MARGIN
from dtool.compare.solver import LEAST, ReferenceSolutions, reference_solution, solver_error
from dtool.errors import UsageError
from dtool.plan import CLEAN, Point
from dtool.targets import target

SCHEDULES = ("linear", "vp", "edm", "flow", "linear:zero_snr=true", "trigflow")


TOKENS = ("gaussian:d=3,condition=10", "gmm:d=1,k=3")


def levels_of(net):
    """(the noisiest, the cleanest) level of a network's schedule."""
    alpha, sigma = net.schedule.alpha, net.schedule.sigma
    return Point(float(alpha[-1]), float(sigma[-1])), Point(float(alpha[0]), float(sigma[0]))


def exact(law, net, z, start=None):
    """The end that recipes converge to: the exact map to the cleanest level, and from there the predicted image."""
    first, last = levels_of(net)
    first = start or first
    return law.x0(law.exact_map(np.hypot(first.alpha, first.sigma) * z, first, last), last)


def rms(difference_of_arrays):
    return float(np.sqrt(np.mean(difference_of_arrays**2)))


@pytest.mark.parametrize("levels", SCHEDULES)
@pytest.mark.parametrize("token", TOKENS)
def test_the_reference_is_the_exact_map_and_its_error_bounds_the_true_one(token, levels):
    law = target(token)
    net = law.network(levels)
    z = np.random.default_rng(0).standard_normal((20, *law.shape))
    wanted = exact(law, net, z)
    for most in (64, 256):
        solution = reference_solution(net, x=z, tolerance=1e-12, most=most)
        assert solution.steps == most
        assert rms(solution.images - wanted) <= solution.error
    assert solution.error < 2e-4
    assert not solution.ok


def test_a_solve_may_end_at_a_level():
    law = target("gaussian:d=2,condition=4")
    net = law.network()
    z = np.random.default_rng(1).standard_normal((8, 2))
    first, end = levels_of(net)[0], Point(0.8, 0.6)
    solution = reference_solution(net, x=z, end=end, tolerance=1e-4)
    assert solution.ok
    assert rms(solution.images - law.exact_map(z * np.hypot(first.alpha, first.sigma), first, end)) <= solution.error


@pytest.mark.parametrize(("rule", "order"), [("ddim", 1), ("heun", 2), ("dpmpp-2m", 2), ("dpm-solver-3s", 3)])
def test_solver_error_falls_at_the_order_of_the_rule(rule, order):
    law = target("gmm:d=1,k=3,std=0.3")
    net = law.network("vp")
    z = np.random.default_rng(2).standard_normal((30, 1))
    ends = levels_of(net)
    references = ReferenceSolutions(net, x=z, tolerance=1e-7, most=4096)
    errors = []
    for steps in (32, 64, 128):
        plan = dtool.plan(rule, points=make_solving_grid(net, ends[0], CLEAN, steps), network=net)
        judged, reason = references.judge(plan, references.draw(plan))
        assert reason == ""
        assert judged.judged
        errors.append(judged.rmse)
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert slopes[-1] == pytest.approx(order, abs=0.25), errors


def test_a_tolerance_that_cannot_be_met_is_refused_in_words():
    net = target("gmm:d=2").network()
    solution = reference_solution(net, n=6, tolerance=1e-9, most=64)
    assert not solution.ok
    assert "above" in solution.reason
    assert solution.steps == 64
    close = solution.images + 2 * solution.error * np.random.default_rng(0).standard_normal(solution.images.shape)
    judged = solver_error(close, solution, (-1.0, 1.0))
    assert not judged.judged
    assert judged.own == solution.error
    assert solver_error(solution.images + 2 * MARGIN * solution.error, solution, (-1.0, 1.0)).judged
    with pytest.raises(UsageError, match="most=10"):
        reference_solution(net, most=10)


def test_a_reference_is_refined_only_for_a_recipe_that_comes_close():
    net = target("gmm:d=2").network()
    references = ReferenceSolutions(net, n=8, tolerance=0.02, most=512)
    rough, fine = (dtool.plan("dpmpp-2m/logsnr", steps=n, network=net) for n in (5, 48))
    assert references.judge(rough, references.draw(rough))[0].judged
    assert references.solution(rough).steps == 2 * LEAST
    assert references.judge(fine, references.draw(fine))[0].judged
    assert references.solution(fine).steps > 2 * LEAST
    assert references.solution(rough).steps == references.solution(fine).steps


def test_who_has_a_solver_error():
    net = target("gaussian:var=0.04").network()
    references = ReferenceSolutions(net, n=32)
    noisy = dtool.plan("ddpm", steps=10, network=net)
    found, reason = references.judge(noisy, references.draw(noisy))
    assert found is None
    assert "adds noise" in reason
    with pytest.raises(UsageError, match="adds noise"):
        references.solution(noisy)
    assert "from image to noise" in references.find_obstacle(dtool.plan("ddim-inversion", steps=5, network=net))
    errors = {}
    for recipe in ("ddpm:sigma=none", "ddim"):
        plans = [dtool.plan(recipe, steps=steps, network=net) for steps in (50, 200)]
        errors[recipe] = [references.judge(plan, references.draw(plan))[0].rmse for plan in plans]
        assert bool(find_other_limit(plans[0])) == (recipe != "ddim")
    assert errors["ddim"][1] < errors["ddim"][0] / 3
    assert errors["ddpm:sigma=none"][1] > errors["ddpm:sigma=none"][0] / 1.5
    assert errors["ddpm:sigma=none"][1] > 10 * errors["ddim"][1]
    unclipped = dtool.plan("ddim:use_clipped=false", steps=5, network=net)
    assert find_other_limit(unclipped, clipped=True)
    assert not find_other_limit(unclipped)


LATE = ["ddim/leading", "ddim@linear", "ddim@flow/logsnr:sigma_max=20", "dpmpp-2m/trailing:start=743"]


@pytest.mark.parametrize("recipe", ["ddim/trailing", "ddim@cosine:shift=2", *LATE])
def test_each_recipe_is_judged_from_the_noisiest_level_wherever_it_begins(recipe):
    """The error of a late start against the exact map from the schedule's first level, and never from its own."""
    law = target("gaussian:d=2,condition=3")
    net = law.network("cosine")
    z = np.random.default_rng(3).standard_normal((16, 2))
    references = ReferenceSolutions(net, x=z, tolerance=1e-5, most=1024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = dtool.plan(recipe, steps=40, network=net)
    solution = references.solution(plan)
    noisier = recipe.endswith("shift=2")
    first = Point(plan.alpha[0], plan.sigma[0]) if noisier else levels_of(net)[0]
    assert solution.start == first
    assert rms(solution.images - exact(law, net, z, first)) <= solution.error + 1e-9
    judged = references.judge(plan, references.draw(plan))[0]
    truth = rms(references.draw(plan) - exact(law, net, z, first))
    assert judged.rmse == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("levels", ["linear", "edm", "flow", "linear:zero_snr=true"])
def test_what_a_late_start_costs_is_the_distance_between_two_exact_paths(levels):
    """With many steps nothing is left but the start: pure noise, as a state of the level at which the plan begins."""
    law = target("gaussian:d=2,condition=4,var=4")
    net = law.network(levels)
    z = np.random.default_rng(4).standard_normal((64, 2))
    references = ReferenceSolutions(net, x=z, tolerance=1e-4, most=1024)
    late = dtool.plan("unipc/karras:start=600", steps=200, network=net)
    own = Point(*(float(level) for level in net.schedule.level(600.0)))
    assert (late.alpha[0], late.sigma[0]) == (own.alpha, own.sigma)
    cost = rms(exact(law, net, z, own) - exact(law, net, z))
    assert cost > 0.01
    assert references.judge(late, references.draw(late))[0].rmse == pytest.approx(cost, rel=0.03)


def test_recipes_share_a_solution_wherever_they_begin():
    net = target("gaussian").network()
    references = ReferenceSolutions(net, n=4)
    solutions = [
        references.solution(dtool.plan(recipe, steps=10, network=net))
        for recipe in ("ddim", "dpmpp-2m/karras", "heun/logsnr", "ddim/leading", "ddim/trailing:start=500", "ddim@ve")
    ]
    assert all(found.images is solutions[0].images for found in solutions)


def test_plans_of_other_starts_follow_one_path():
    net = target("gaussian").network()
    references = ReferenceSolutions(net, n=4)
    first, late = (dtool.plan(recipe, steps=10, network=net) for recipe in ("ddim", "ddim/trailing:start=743"))
    assert first.alpha[0] != late.alpha[0]
    assert references.follow_one_path(first, late)
    assert references.solution(late).start == levels_of(net)[0]


def test_guidance_and_clipping_are_part_of_the_field():
    net = target("digits-gmm").network()
    settings = ({}, {"guidance": 3.0}, {"clip": True}, {"guidance": 3.0, "clip": True})
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8))
    solutions = [reference_solution(net, x=x, most=64, **setting) for setting in settings]
    for i, first in enumerate(solutions):
        for second in solutions[i + 1 :]:
            assert rms(first.images - second.images) > 5 * max(first.error, second.error)
    for setting in settings:
        references = ReferenceSolutions(net, x=x, most=64, **setting)
        plans = [dtool.plan("dpmpp-2m/karras", steps=steps, network=net) for steps in (8, 32)]
        rough, fine = (references.judge(plan, references.draw(plan))[0].rmse for plan in plans)
        assert fine < rough / 2


def test_levels_that_the_network_never_saw_are_no_news():
    net = target("gaussian").network("linear")
    references = ReferenceSolutions(net, n=4, most=64)
    with pytest.warns(match="clamped"):
        plan = dtool.plan("ddim@cosine", steps=10, network=net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        references.solution(plan)
