"""The judgement of a stochastic plan: its images' law beside named stochastic recipes', from noises of its own."""

import numpy as np
import pytest

from dtool.fit.law_fit import fit_law
from dtool.fit.law_judgement import SlicedLaw
from dtool.fit.session import FitOptions, FitSession
from dtool.fit.work import Work
from dtool.targets import target

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def judged():
    session = FitSession(target("gmm:d=2").network(), FitOptions(basis="x0", noises=(24, 24, 40)))
    seen = []
    return session, fit_law(session, 3, 0.5, Work(on_better=seen.append)), seen


def test_two_sets_that_are_moved_apart_are_as_far_apart_along_every_direction():
    real = RANDOM.standard_normal((50, 2))
    law = SlicedLaw(real)
    assert law.measure(real[::-1]) < 1e-12, "the order of the images does not count"
    moved = real + np.array([3.0, 0.0])
    assert np.isclose(law.measure(moved), 3 / np.sqrt(2), rtol=0.1), "a direction sees its part of the way"
    ratio, low, high = law.compare(real + np.array([1.5, 0.0]), moved)
    assert np.isclose(ratio, 0.5, rtol=1e-9)
    assert low <= ratio <= high < 0.6
    low, high = law.find_interval(moved)
    assert low < law.measure(moved) < high
    assert high - low < 0.5 * law.measure(moved)


def test_it_is_judged_beside_stochastic_recipes_at_the_same_and_at_twice_the_calls(judged):
    _, plan, seen = judged
    held_out = plan.fit.held_out
    assert seen[-1] == plan, "what is written last has the figures"
    assert [rival.calls for rival in held_out.rivals] == [3, 3, 3, 6]
    assert all(rival.late is None for rival in held_out.rivals)
    assert held_out.images == 40
    assert held_out.median is None
    assert held_out.low <= held_out.rmse <= held_out.high
    best = held_out.rivals[0]
    assert np.isclose(best.ratio, held_out.rmse / best.rmse)
    assert 0 < held_out.floor < best.rmse, "the solution's own images are nearer than those of three calls"


def test_its_images_begin_at_noises_that_no_solution_begins_at(judged):
    session, _, _ = judged
    drawing = session.draw("drawing", 40)
    for kind in ("training", "validation", "judging"):
        assert not {*drawing.ids} & {*session.take(kind)[0].ids}


def test_it_need_not_be_judged():
    session = FitSession(target("gmm:d=2").network(), FitOptions(basis="x0", noises=(8, 8, 8)))
    assert fit_law(session, 2, 0.5, Work(), judge=False).fit.held_out is None
