"""Time to quality: everyone with the fewest calls that come as near to the solution as the best named recipe."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.bench import to_quality
from dtool.bench.to_quality import time_to_quality
from dtool.compare.successive_halving import LAST
from dtool.errors import UsageError
from dtool.targets import target

RECIPES = ["ddim", "dpmpp-2m", "unipc"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Nobody's time matters here, and diffusers is another test's."""
    monkeypatch.setattr(to_quality, "SETTLE", 0)
    monkeypatch.setattr(to_quality, "is_installed", lambda: False)


def measure(network, recipe, steps, solution):
    images = dtool.sample(network, recipe, steps=steps, n=LAST).x0
    return float(np.sqrt(np.mean((images - solution) ** 2)))


def test_each_takes_part_with_the_fewest_calls_that_reach_the_bar():
    network = target("gmm:d=1").network()
    found = time_to_quality(network, calls=6, recipes=RECIPES, entrants=["dpmpp-2m", "ddim"], images=3, rounds=2)
    solution = dtool.compare.reference_solution(network, n=LAST, tolerance=1e-4, most=1024).images
    assert found.rmse == pytest.approx(min(measure(network, one, 6, solution) for one in RECIPES), rel=0.02)
    assert found.arrivals[0].name == found.recipe
    assert found.arrivals[0].ratios == (1, 1)
    reached = {one.name: one for one in found.arrivals}
    for name in ("dpmpp-2m", "ddim"):
        if name in reached:
            steps = reached[name].steps
            assert measure(network, name, steps, solution) <= found.rmse * 1.02
            assert measure(network, name, steps - 1, solution) > found.rmse * 0.98, "one step fewer does not"
        else:
            assert measure(network, name, to_quality.MOST, solution) > found.rmse
    assert {"dpmpp-2m", "ddim"} <= reached.keys() | found.missing.keys()
    assert "not installed" in next(why for name, why in found.missing.items() if name.startswith("diffusers"))
    assert found.to_dict()["arrivals"][0]["calls"] == 6
    assert f"| {found.recipe} | 6 | 6 |" in found.document()


def test_who_does_not_come_so_near_is_said_so(monkeypatch):
    monkeypatch.setattr(to_quality, "MOST", 4)
    found = time_to_quality(
        target("gmm:d=1").network(), calls=12, recipes=["unipc"], entrants=["ddim"], images=1, rounds=1
    )
    assert [one.name for one in found.arrivals] == ["unipc"]
    assert found.missing["ddim"].startswith("with 4 calls or fewer its RMSE is ")


@pytest.mark.parametrize(
    ("options", "cause"),
    [({"rounds": 0}, "nothing is timed"), ({"entrants": ["dimm"]}, "no sampler"), ({"calls": 0}, "nothing is timed")],
)
def test_what_cannot_be_timed(options, cause):
    with pytest.raises(UsageError, match=cause):
        time_to_quality(target("gmm:d=1").network(), **{"recipes": ["ddim"], "entrants": [], **options})
