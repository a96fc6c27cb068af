"""Paths between two images of a seed."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.interpolation import parse_interpolation


@pytest.fixture
def network():
    return dtool.network(lambda x, t: 0.3 * x, shape=(64,))


@pytest.mark.parametrize("recipe", ["ddim", "ddpm"])
def test_a_path_begins_and_ends_at_the_images_of_its_ids(network, recipe):
    ends = dtool.sample(network, recipe, steps=4, seed=3, ids=[5, 9], clip=False).x0
    path = dtool.sample(network, recipe, steps=4, seed=3, interpolate="5:9:6", clip=False)
    assert path.ids is None
    assert len(path.x0) == 6
    assert np.array_equal(path.x0[[0, -1]], ends)


def test_an_image_of_a_path_does_not_depend_on_the_batch(network):
    whole = dtool.sample(network, "ddpm", steps=4, interpolate=(0, 1, 7), clip=False).x0
    one = dtool.sample(network, "ddpm", steps=4, interpolate=(0, 1, 7), clip=False, batch_size=2).x0
    assert np.array_equal(whole, one)


def test_noise_on_the_path_stays_standard_normal(network):
    places = np.full(1, 3, np.uint64)
    path = parse_interpolation("0:1:7")
    z = np.concatenate([path.draw(network, seed, places, 1)(0).ravel() for seed in range(400)])
    error = np.sqrt(2 / z.size)  # of a variance, at one standard deviation
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * error  # a straight line's is 0.5 there


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("0:3", "no path"),
        ("a:b:3", "no path"),
        ("0:3:1", "a path of 1"),
        ("3:3:4", "begins and ends"),
        ("-1:3:4", "ids"),
    ],
)
def test_what_is_no_path_is_refused(path, message):
    with pytest.raises(UsageError, match=message) as error:
        parse_interpolation(path)
    assert error.value.hint


def test_a_path_and_other_images_are_refused(network):
    with pytest.raises(UsageError, match="the path between two images has 7"):
        dtool.sample(network, "ddim", steps=4, interpolate="0:1:7", n=3)
