"""`dtool guidances`, and guidance as it is typed for `dtool sample` and `dtool export`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is a conditional one in closed form."""
    return use_network(monkeypatch, tmp_path, network())


def test_the_guidances_are_listed(capsys):
    found = {one["name"]: one for one in json.loads(ran(capsys, "guidances", "--json").out)}
    assert {"cfg", "cfgpp"} <= set(found)
    assert set(found["cfg"]["options"]) == {"low", "high", "scale", "rescale"}
    assert "arXiv:2406.08070" in ran(capsys, "guidances", "cfg++").out


def draw(capsys, *words):
    result = ran(capsys, "sample", "--steps", 8, "-n", 2, "--npz", "out.npz", "--json", *words)
    assert result.code == 0, result.err
    settings = json.loads(result.out)
    return np.load("out.npz")["x0"], settings


@pytest.mark.parametrize(
    ("typed", "recipe"),
    [("3@-1.3:0.3", "ddim~cfg:low=-1.3,high=0.3,scale=3.0"), ("cfgpp:scale=0.6", "ddim~cfgpp:scale=0.6")],
)
def test_guidance_as_a_flag_is_that_of_the_recipe(capsys, typed, recipe):
    images, settings = draw(capsys, "--recipe", "ddim", "--guidance", typed)
    same, others = draw(capsys, "--recipe", recipe)
    assert (images == same).all()
    assert settings["recipe"] == others["recipe"] == recipe
    assert settings["calls"] == 8
    assert settings["evaluations"] == others["evaluations"] > 8


def test_a_number_sets_the_scale_of_the_recipes_guidance(capsys):
    images, settings = draw(capsys, "--recipe", "ddim~3@-1.3:0.3", "--guidance", 2)
    same, _ = draw(capsys, "--recipe", "ddim~2@-1.3:0.3")
    assert (images == same).all()
    assert settings["evaluations"] < 16


def test_a_row_without_guidance_is_evaluated_once(capsys):
    _, settings = draw(capsys, "--recipe", "ddim", "--guidance", "3@90:")
    assert settings["evaluations"] == 8
    _, settings = draw(capsys, "--recipe", "ddim", "--guidance", 1)
    assert settings["evaluations"] == 8


@pytest.mark.parametrize(
    ("words", "cause", "hint"),
    [
        (["--guidance", "3@a:b"], "guidance '3@a:b' cannot be read", "write SCALE or SCALE@LOW:HIGH"),
        (["--guidance", "cgf"], "there is no guidance 'cgf'", "did you mean cfg"),
        (["--guidance", "-1"], "guidance -1 is no scale", "use 0 or more"),
        (["--guidance", "cfgpp:scale=-1"], "cfgpp: scale='-1' is refused", "greater than or equal to 0"),
        (["--guidance", "cfg:rescale=2"], "cfg: rescale", "less than or equal to 1"),
        (["--recipe", "ddim~cfgpp", "--guidance", "3@0:1"], "names its guidance already", "leave out --guidance"),
        (["--recipe", "ddim~"], "cannot read the recipe 'ddim~'", "SAMPLER"),
        (["--recipe", "ddim~cfg~cfg"], "there is no guidance 'cfg~cfg'", ""),
        (["--recipe", "ddim-inversion~cfg"], "leads from an image to its noise", "leave out guidance"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_said(capsys, words, cause, hint):
    result = ran(capsys, "sample", "--steps", 4, "-n", 1, *words)
    failed(result, 2, cause, hint)


def test_a_network_without_conditions_is_not_guided(capsys, monkeypatch, tmp_path):
    use_network(monkeypatch, tmp_path, network(classes=0))
    for words in (["--guidance", "3"], ["--guidance", "3@-1:1"], ["--recipe", "ddim~cfgpp:scale=0.6"]):
        failed(ran(capsys, "sample", "--steps", 4, "-n", 1, *words), 2, "guidance needs a conditional network")
