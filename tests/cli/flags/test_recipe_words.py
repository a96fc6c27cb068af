"""A recipe as it is typed: in one word, or in several."""

from __future__ import annotations

import json

import pytest

from tests.support.commandline import network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


@pytest.mark.parametrize(
    ("args", "recipe"),
    [
        (["--sampler", "ddim", "--eta", "0.5"], "ddim:eta=0.5"),
        (["--sampler=ddim", "--eta=0.5"], "ddim:eta=0.5"),
        (["--sampler", "ddim:eta=0.5"], "ddim:eta=0.5"),
        (["--recipe", "ddim:eta=0.25", "--eta", "0.5"], "ddim:eta=0.5"),
        (["--sigma", "beta"], "ddpm:sigma=beta"),
        (["--recipe", "dpmpp-2m@cosine/karras"], "dpmpp-2m@cosine/karras"),
        (["--sampler", "heun", "--spacing", "karras:rho=5"], "heun/karras:rho=5.0"),
    ],
)
def test_every_way_of_saying_a_recipe(capsys, args, recipe):
    result = ran(capsys, "sample", *args, "--steps", 3, "-n", 2, "--json", "-q")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["recipe"] == recipe
    assert found["files"] == {"picture": "samples.png"}
    assert result.err == ""


def test_points_are_your_own_times(capsys):
    found = json.loads(ran(capsys, "sample", "--points", "999,500,10", "--json", "-n", 1).out)
    assert (found["steps"], found["calls"]) == (3, 3)
