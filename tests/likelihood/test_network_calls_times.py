"""Likelihoods of a network that is told another time, is preconditioned, or takes conditions: the plain one's."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.time_convention import TIME_CONVENTIONS
from tests.models.test_time_convention import UNDO
from tests.support.preconditioned import make_network, precondition

LAW = dtool.targets.target("gaussian:d=2,var=0.25")
IMAGES = LAW.sample(2, seed=5)


def tell(convention, prediction="eps", schedule="edm"):
    levels = dtool.get_scheduler(schedule)

    def fn(x, told):
        alpha, sigma = levels.level(UNDO[convention](levels, np.asarray(told, dtype=np.float64)))
        return LAW.predict(x, alpha, sigma, None, prediction).astype(x.dtype)

    return make_network(fn, LAW, levels, prediction, time=convention)


def figure(network, kind):
    if kind == "ode":
        return dtool.likelihood.ode(network, IMAGES, levels=None, steps=12).per_image
    return dtool.likelihood.bound(network, IMAGES, 12, levels=None).per_image


@pytest.mark.parametrize("kind", ["ode", "bound"])
def test_the_figure_does_not_depend_on_how_the_time_is_told(kind):
    plain = figure(tell("index"), kind)
    for convention in TIME_CONVENTIONS[1:]:
        np.testing.assert_allclose(figure(tell(convention), kind), plain, rtol=0, atol=1e-6, err_msg=convention)


@pytest.mark.parametrize("schedule", ["edm", "linear"])
@pytest.mark.parametrize("kind", ["ode", "bound"])
def test_a_preconditioned_network_has_the_figure_of_its_denoiser(kind, schedule):
    plain, inner = tell("index", "x0", schedule), precondition(LAW, schedule, 0.5)
    np.testing.assert_allclose(figure(inner, kind), figure(plain, kind), rtol=0, atol=1e-6)


def test_the_ode_of_a_preconditioned_network_is_the_closed_form():
    found = dtool.likelihood.ode(precondition(LAW, "edm", 0.5), IMAGES, levels=None).per_image
    np.testing.assert_allclose(found, -LAW.log_density(IMAGES) / np.log(2) / 2, rtol=0, atol=0.01)


def make_conditional(null):
    condition = {"name": "bias", "shape": (2,), "null": null}
    seen = []

    def fn(x, t, bias):
        seen.append(bias)
        return 0.3 * x + bias

    return dtool.network(fn, shape=(2,), conditions=[condition]), seen


@pytest.mark.parametrize("kind", ["ode", "bound"])
def test_a_condition_that_is_not_given_is_its_null_value(kind):
    network, seen = make_conditional(0)
    plain = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    np.testing.assert_allclose(figure(network, kind), figure(plain, kind), rtol=0, atol=1e-9)
    assert not seen[-1].any()


@pytest.mark.parametrize("kind", ["ode", "bound"])
def test_a_network_that_needs_a_condition_has_no_likelihood(kind):
    network, _ = make_conditional(None)
    with pytest.raises(UsageError) as error:
        figure(network, kind)
    assert str(error.value) == "the network needs bias float32 (2) for each image"
    assert error.value.hint == "give --condition bias=FILE.npy (conditions={'bias': …})"
