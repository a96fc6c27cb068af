"""A network that stands for another: the same answers, and nothing tried out again."""

from __future__ import annotations

import numpy as np

import dtool
from dtool.models.stand_in import StandInNetwork
from tests.support.commandline import network


def test_it_answers_as_the_network_that_it_stands_for():
    own = network()
    own.micro_batch = 2
    other = StandInNetwork(own)
    assert (other.spec, other.device, other.micro_batch) == (own.spec, own.device, 2)
    for recipe in ("ddim", "ddpm"):
        images = [dtool.sample(one, recipe, steps=3, n=3).x0 for one in (own, other)]
        np.testing.assert_array_equal(*images)


def test_what_is_tried_out_is_no_call_of_it():
    class Counted(StandInNetwork):
        calls = 0

        def predict(self, x, t, conditions=None):
            self.calls += 1
            return super().predict(x, t, conditions)

    counted = Counted(network())
    np.testing.assert_array_equal(counted.run_trial(2, 1, 500, False), counted.network.run_trial(2, 1, 500, False))
    assert counted.calls == 0
    dtool.sample(counted, "ddim", steps=3, n=1)
    assert counted.calls == 3
