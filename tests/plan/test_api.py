"""From a recipe, or points of one's own, to a plan."""

import pytest

from dtool.errors import UsageError
from dtool.plan import plan
from dtool.schedulers import get_scheduler
from tests.support.steps import FAR, NEAR


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"steps": 0}, "0 steps cannot be had"),
        ({"steps": 1001}, "1001 steps cannot be had from a schedule of 1000"),
        ({"points": [900, 500, 500]}, "same level"),
        ({"points": [500, 900]}, "begins by going up"),
        ({"points": [1000, 500]}, "outside this schedule's"),
        ({"points": [999, 500], "steps": 3}, "points are given"),
        ({"points": [999, 500], "spacing": "karras"}, "points are given"),
        ({"points": [FAR, 500]}, "mixes times and Points"),
        ({"eta": 0.5, "sigma": "beta"}, "has no option 'sigma'"),
        ({"eta": 2}, "eta=2 is refused"),
        ({"scheduler": "lineer"}, "there is no scheduler 'lineer'"),
    ],
)
def test_requests_that_are_refused(arguments, cause):
    with pytest.raises(UsageError, match=cause) as error:
        plan("ddim", **arguments)
    assert error.value.hint


def test_own_points():
    made = plan("ddim", scheduler="linear", points=[999, 750, 500, 250])
    assert made.t.tolist() == [999, 750, 500, 250]
    assert made.steps == 4
    to_time = plan("ddim", scheduler="linear", points=[999, 500], end=100)
    alpha, sigma = get_scheduler("linear").level(100)
    assert to_time.a[-1] == pytest.approx(sigma / to_time.sigma[-1])
    levels = plan("ddim", points=[FAR, NEAR])
    assert levels.steps == 2, "points that do not end at an image are continued to it"
    assert (alpha > 0, levels.alpha.tolist()) == (True, [0.1, 0.8])


def test_the_header_says_where_it_comes_from():
    made = plan("ddim:eta=0.5@cosine/karras", steps=5)
    assert (made.recipe, made.sampler, made.schedule) == ("ddim:eta=0.5@cosine/karras", "ddim:eta=0.5", "cosine")
    assert made.schedule_hash == get_scheduler("cosine").hash
    assert "2010.02502" in made.cite
