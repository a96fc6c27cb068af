"""Where the time of a run goes."""

from __future__ import annotations

import time

import numpy as np
import pytest

import dtool
from dtool.compare.time_shares import _ClockedNetwork, attach_clock
from tests.support.commandline import SHAPE, network


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m-sde/karras"])
def test_the_watched_network_draws_the_same(recipe):
    net = network()
    plan = dtool.plan(recipe, steps=5, network=net)
    one, other = (dtool.sample(each, plan, n=7, seed=3) for each in (net, _ClockedNetwork(net)))
    assert (one.x0 == other.x0).all()


def test_a_slow_network_is_where_the_time_goes():
    def slow(x, t):
        time.sleep(0.02)
        return 0.1 * x

    net = dtool.network(slow, shape=SHAPE)
    watched = attach_clock(net)
    split = watched.split(dtool.sample(watched, "ddpm", steps=10, n=2).seconds)
    assert split.network >= 0.2
    assert split.network > 5 * max(split.rule, split.noise, split.copies)
    assert min(split.to_dict().values()) >= 0


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m"])
def test_the_parts_are_the_whole(recipe):
    entry = dtool.compare(network(), [recipe], steps=20, n=4, repeats=3).entries[0]
    parts = entry.timing.to_dict()
    assert entry.seconds_low * (1 - 1e-9) <= sum(parts.values()) <= entry.seconds_high * (1 + 1e-9)
    assert min(parts.values()) >= 0


def test_a_gpu_and_a_whole_sampler_have_none():
    net = network()
    net.device = "cuda"
    assert attach_clock(net) is None
    net = network()
    attach_clock(net)
    assert np.isfinite(dtool.sample(net, "ddim", steps=2, n=1).x0).all()
