"""The shares that an optimal network's answers have are those that are expected of what it predicts."""

import pytest

from dtool.run.prediction_check import FITS
from dtool.run.prediction_shares import Assumption
from dtool.targets import target


@pytest.mark.parametrize(("word", "schedule"), [("eps", "linear"), ("v", "linear"), ("x0", "linear"), ("flow", "flow")])
def test_of_an_optimal_network(word, schedule):
    net = target("two-diracs").network(schedule, word)
    said = Assumption(network=net, prediction=word, time="index", told={})
    shares, distance = said.measure(strict=True)
    expected = said.expect()
    assert distance <= FITS
    assert shares.distance(expected, strict=True) == distance
    for name in ("far", "image"):
        assert abs(getattr(shares, name) - getattr(expected, name)) <= FITS


def test_far_from_it_the_rest_is_not_measured():
    net = target("two-diracs").network("linear", "eps")
    shares, distance = Assumption(network=net, prediction="x0", time="index", told={}).measure()
    assert (distance, shares.far > 0.9) == (float("inf"), True)
    assert str(shares) == f"{shares.far:.2f} of pure noise"
