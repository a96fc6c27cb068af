"""The variance that is measured of a network told another time, preconditioned, or with conditions: the plain one's."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.time_convention import TIME_CONVENTIONS
from tests.likelihood.test_network_calls_times import LAW, make_conditional, tell
from tests.support.preconditioned import precondition

IMAGES = LAW.sample(64, seed=1)


def measure(network):
    return dtool.measure_variance(network, IMAGES, levels=9)


def test_the_figure_does_not_depend_on_how_the_time_is_told():
    plain = measure(tell("index"))
    for convention in TIME_CONVENTIONS[1:]:
        found = measure(tell(convention))
        assert found.lam.tolist() == plain.lam.tolist()
        np.testing.assert_allclose(found.missed, plain.missed, rtol=1e-3, err_msg=convention)


@pytest.mark.parametrize("schedule", ["edm", "linear", "flow"])
def test_a_preconditioned_network_has_the_figure_of_its_denoiser(schedule):
    plain, inner = measure(tell("index", "x0", schedule)), measure(precondition(LAW, schedule, 0.5))
    np.testing.assert_allclose(inner.missed, plain.missed, rtol=2e-3, atol=1e-9)


def test_a_condition_that_is_not_given_is_its_null_value():
    network, _ = make_conditional(0)
    plain = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    np.testing.assert_array_equal(measure(network).missed, measure(plain).missed)


def test_a_network_that_needs_a_condition_is_refused():
    network, _ = make_conditional(None)
    with pytest.raises(
        UsageError, match=r"^the network needs bias float32 \(2\) for each image, and is told none here"
    ):
        measure(network)
