"""Where the images of a run start: how many there are, and that a start is said once."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.editing import GivenImage
from dtool.run.interpolation import parse_interpolation
from dtool.run.starts import count_images, refuse_other_starts, refuse_path

PATH = parse_interpolation("0:3:5")


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ((None, None, None, None, None), 16),
        ((None, 3, None, None, 7), 3),
        ((None, None, None, None, 7), 7),
        ((None, None, [4, 4], None, 7), 2),
        ((None, None, None, np.zeros((6, 2)), None), 6),
        ((PATH, None, None, None, None), 5),
        ((PATH, 5, None, None, None), 5),
    ],
)
def test_how_many_images(given, count):
    assert count_images(*given) == count


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((PATH, 4, None, None, None), "has 5, and more is said"),
        ((PATH, None, [1], None, None), "has 5, and more is said"),
        ((None, None, [1], np.zeros((1, 2)), None), "ids name generated starts"),
        ((None, 3, [1], None, None), "n=3, but 1 starts"),
        ((None, 0, None, None, None), "n=0 images cannot"),
    ],
)
def test_numbers_that_do_not_fit(given, says):
    with pytest.raises(UsageError, match=says):
        count_images(*given)


def test_a_start_of_one_s_own_is_the_only_one():
    refuse_other_starts(GivenImage(), None)
    for given, path, name in ((GivenImage(strength=0.5), None, "strength"), (GivenImage(), PATH, "interpolate")):
        with pytest.raises(UsageError, match=f"{name} is of a generated start"):
            refuse_other_starts(given, path)


def test_a_sampler_s_file_has_no_path():
    network = dtool.network(lambda x, t: x, shape=(2,))
    refuse_path(network, PATH)
    network.plan = dtool.plan("ddim", steps=2)
    refuse_path(network, None)
    with pytest.raises(UsageError, match="makes its own noise, and has no path"):
        refuse_path(network, PATH)
