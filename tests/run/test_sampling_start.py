"""What a call of `dtool.sample` begins with, before any work."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.run.editing import GivenImage
from dtool.run.guided_conditions import Request
from dtool.run.sampling_start import resolve_course, resolve_start
from dtool.targets import target

NOTHING = {"x": None, "noise": None, "ids": None, "given": GivenImage(), "interpolate": None, "as_numpy": True}
PLAN = {"plan": "ddim", "steps": 5, "n": None, "guidance": None, "weak": None, "seed": 0, "together": 0, "trace": False}


@pytest.fixture(scope="module")
def digits():
    return target("digits-gmm").network()


def test_starts_that_exclude_each_other_are_refused(digits):
    x = np.zeros((2, *digits.shape), np.float32)
    for told, wrong in (
        ({"noise": x[None]}, "noise is given without a start"),
        ({"x": x, "interpolate": "0:1:4"}, "interpolate"),
        ({"x": x, "given": GivenImage(image=x)}, "image"),
        ({"ids": [-1]}, "-1"),
    ):
        with pytest.raises(UsageError, match=wrong):
            resolve_start(digits, **{**NOTHING, **told})


def test_images_are_known_by_their_ids_and_those_of_a_path_by_its_first(digits):
    for told, names in (({}, [0, 1, 2]), ({"ids": [7, 9, 8]}, [7, 9, 8]), ({"interpolate": "4:9:3"}, [4, 4, 4])):
        _, start = resolve_start(digits, **{**NOTHING, **told})
        assert start.name_images(3) == names


def test_a_course_counts_its_images_and_the_rows_that_ask_twice(digits):
    _, start = resolve_start(digits, **{**NOTHING, "ids": [3, 4]})
    course = resolve_course(digits, start, Request(), **{**PLAN, "guidance": "3@-1:1"})
    assert course.count == 2
    assert course.classes.tolist() == [3, 4]
    lam = np.log(course.plan.alpha / course.plan.sigma)
    assert course.doubled.tolist() == ((lam >= -1) & (lam <= 1)).tolist()
    assert 0 < course.doubled.sum() < 5
    assert not resolve_course(digits, start, Request(), **{**PLAN, "guidance": 1}).doubled.any()


def test_a_given_image_shortens_the_plan_and_at_strength_0_is_untouched(digits):
    image = np.zeros(digits.shape, np.float32)
    courses = []
    for strength in (0.0, 0.4, 1.0):
        given = GivenImage(image=image, strength=strength)
        _, start = resolve_start(digits, **{**NOTHING, "given": given})
        courses.append(resolve_course(digits, start, Request(), **PLAN))
    assert [course.is_untouched for course in courses] == [True, False, False]
    assert courses[1].plan.rows < 5
    assert not courses[1].is_from_noise


def test_what_does_not_fit_into_memory_is_refused_before_conditions_are_made(digits):
    _, start = resolve_start(digits, **NOTHING)
    with pytest.raises(UsageError, match="images"):
        resolve_course(digits, start, Request(), **{**PLAN, "n": 10**15})
