"""Where the time of a run goes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from commandline import SHAPE, network

import dtool
from dtool.compare import split as module
from dtool.compare.split import _Timed, split


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m-sde/karras"])
def test_the_watched_network_draws_the_same(recipe):
    net = network()
    plan = dtool.plan(recipe, steps=5, network=net)
    one, other = (dtool.sample(each, plan, n=7, seed=3) for each in (net, _Timed(net)))
    assert (one.x0 == other.x0).all()


def test_a_slow_network_is_where_the_time_goes():
    def slow(x, t):
        time.sleep(0.02)
        return 0.1 * x

    net = dtool.network(slow, shape=SHAPE)
    found = split(net, dtool.plan("ddpm", steps=10, network=net), 2)
    assert found.network >= 0.2
    assert found.network > 5 * max(found.rule, found.noise, found.copies)
    assert min(found.to_dict().values()) >= 0


def test_the_parts_are_the_whole(monkeypatch):
    whole = {}
    original = module.sample

    def watched(*args, **options):
        out = original(*args, **options)
        whole["seconds"] = out.seconds
        return out

    monkeypatch.setattr(module, "sample", watched)
    net = network()
    found = split(net, dtool.plan("ddpm", steps=20, network=net), 4)
    assert sum(found.to_dict().values()) == pytest.approx(whole["seconds"], rel=1e-6)


def test_a_gpu_and_a_whole_sampler_have_none():
    net = network()
    net.device = "cuda"
    assert split(net, dtool.plan("ddim", steps=2, network=net), 1) is None
    assert np.isfinite(dtool.sample(network(), "ddim", steps=2, n=1).x0).all()
