"""The plan of a run, from its strength on."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.sampled_plan import resolve_plan, start_late


@pytest.fixture
def network():
    return dtool.network(lambda x, t: 0.3 * x, shape=(2,))


def test_a_run_needs_a_sampler(network):
    with pytest.raises(UsageError, match="no sampler is named"):
        resolve_plan(network, None, None)


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m", "ddpm/repaint"])
def test_a_late_plan_is_that_of_its_recipe(network, recipe):
    plan = resolve_plan(network, recipe, 10)
    assert start_late(network, plan, 1) is plan
    assert start_late(network, plan, 0.5) == dtool.plan(recipe, steps=10, network=network, strength=0.5)


def test_an_inverse_plan_has_no_late_start(network):
    with pytest.raises(UsageError, match="from an image to its noise"):
        start_late(network, resolve_plan(network, "ddim-inversion", 10), 0.5)


def test_the_rows_of_a_plan_of_own_points_are_cut_off(network):
    plan = dtool.plan("ddim", points=[900, 500, 100, 50], network=network)
    assert np.array_equal(start_late(network, plan, 0.5).alpha, plan.alpha[2:])
