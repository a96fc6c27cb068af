"""Drawing for a comparison: going on after an interruption."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from tests.support.commandline import network


@pytest.mark.parametrize("at", [3, 40])
def test_an_interrupted_comparison_goes_on(at, tmp_path):
    """Interrupted after some calls, then run again: the same result, and no image is drawn twice."""
    net = network()
    whole = dtool.compare(net, ["ddim", "heun"], steps=4, n=200, repeats=1, solver=False)
    seen = []

    def stop(done, total, what):
        seen.append(what)
        if len(seen) >= at and "timing" not in what:
            raise KeyboardInterrupt

    options = {"steps": 4, "n": 200, "repeats": 1, "solver": False, "keep": tmp_path / "parts"}
    with pytest.raises(KeyboardInterrupt):
        dtool.compare(net, ["ddim", "heun"], progress=stop, **options)
    drawn = []
    again = dtool.compare(net, ["ddim", "heun"], progress=lambda *now: drawn.append(now), **options)
    assert (again.images == whole.images).all()
    third = []
    dtool.compare(net, ["ddim", "heun"], progress=lambda *now: third.append(now), **options)
    assert len(third) < len(drawn)
    assert {what for *_, what in third} == {"ddim: timing", "heun: timing"}


def test_a_comparison_s_images_are_those_of_its_seed():
    net = network()
    images = dtool.compare(net, ["ddpm"], steps=3, n=5, seed=7, repeats=1, solver=False).images[0]
    assert np.array_equal(images, dtool.sample(net, "ddpm", steps=3, n=5, seed=7).x0)
    assert not np.array_equal(images, dtool.sample(net, "ddpm", steps=3, n=5, seed=0).x0)
