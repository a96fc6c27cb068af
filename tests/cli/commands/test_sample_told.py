"""`dtool sample` with a network that is told prompts, samples latents, and whose makers have a recipe."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import failed, ran
from tests.support.told_networks import LATENT, PICTURE, Doubling, text_network, write_decoder

TOLD = "tests.support.told_networks:text_network"


def test_prompts_are_told_in_turn_and_written_into_what_is_made(capsys, folder):
    words = ("--prompt", "a cat", "--prompt", "a dog", "--negative", "bad", "--guidance", "3", "--condition", "size=.1")
    result = ran(capsys, "sample", TOLD, *words, "--ids", "0,1,2", "-o", "a.png", "--npz", "a.npz", "--json")
    assert result.code == 0, result.err
    about = json.loads(result.out)
    assert (about["prompts"], about["negative"]) == (["a cat", "a dog"], ["bad"])
    assert json.loads(Image.open("a.png").text["dtool"])["prompts"] == ["a cat", "a dog"]
    own = dtool.sample(
        text_network(), "dpmpp-2m/karras", steps=7, n=3, prompt=["a cat", "a dog", "a cat"], negative="bad", guidance=3,
        conditions={"size": 0.1},
    )  # fmt: skip
    np.testing.assert_array_equal(np.load("a.npz")["x0"], Doubling().decode(own.x0))


def test_there_are_as_many_images_as_prompts(capsys, folder):
    (folder / "prompts.txt").write_text("a\nb\nc\n")
    assert ran(capsys, "sample", TOLD, "--prompts", "prompts.txt", "--npz", "a.npz", "-q").code == 0
    assert np.load("a.npz")["x0"].shape == (3, *PICTURE)
    failed(ran(capsys, "sample", TOLD, "--prompts", "prompts.txt", "-n", "2", "-q"), 2, "3 prompts for 2 images")
    failed(ran(capsys, "sample", TOLD, "--prompts", "prompts.txt", "-o", "prompts.txt"), 2, "prompts.txt")


def test_latents_come_beside_the_pictures(capsys, folder):
    assert ran(capsys, "sample", TOLD, "-n", "2", "--npz", "a.npz", "--latents", "--trace", "-o", "a.png").code == 0
    arrays = np.load("a.npz")
    assert arrays["latents"].shape == (2, *LATENT)
    np.testing.assert_array_equal(arrays["x0"], Doubling().decode(arrays["latents"]))
    assert (folder / "a-trace.png").exists()
    failed(ran(capsys, "sample", TOLD, "--latents"), 2, "--latents is for the array", "--npz FILE")
    failed(ran(capsys, "sample", "digits-gmm", "--latents", "--npz", "b.npz"), 2, "no codec", "leave --latents out")


def test_the_makers_recipe_is_the_default_and_is_said(capsys, folder):
    result = ran(capsys, "sample", TOLD, "-n", "2", "--json")
    about = json.loads(result.out)
    assert (about["recipe"], about["steps"]) == ("dpmpp-2m/karras", 7)
    assert "dpmpp-2m/karras, as its makers sample it. Its makers start a little later.\n" in result.err


@pytest.mark.parametrize(
    ("words", "recipe", "steps"),
    [
        (("--steps", "5"), "dpmpp-2m/karras", 5),
        (("--spacing", "trailing", "--scheduler", "cosine"), "dpmpp-2m@cosine", 7),
        (("--sampler", "ddim"), "ddim", 50),
        (("--sigma", "beta"), "ddpm:sigma=beta", 50),
    ],
)
def test_what_is_named_takes_the_place_of_theirs(capsys, folder, words, recipe, steps):
    about = json.loads(ran(capsys, "sample", TOLD, "-n", "1", "--json", "-q", *words).out)
    assert (about["recipe"], about["steps"]) == (recipe, steps)


def test_a_decoder_of_its_own_makes_the_pictures(capsys, folder):
    pytest.importorskip("onnx")
    write_decoder(folder / "decoder.onnx", channels=1)
    assert ran(capsys, "sample", TOLD, "--decoder", "decoder.onnx", "-n", "2", "--npz", "a.npz").code == 0
    assert np.load("a.npz")["x0"].shape == (2, 1, *PICTURE[1:])
    failed(ran(capsys, "sample", TOLD, "--decoder-scale", "2"), 2, "are for a decoder", "--decoder PATH")


def test_a_recipe_in_the_place_of_a_network_is_told_from_one(capsys, folder):
    failed(ran(capsys, "sample", "DPM++ 2M Karras"), 2, "is a recipe, no network", "--sampler 'DPM++ 2M Karras'")


@pytest.mark.parametrize("words", [(), ("--guidance", "3"), ("--guidance", "1"), ("--condition", "size=.1")])
def test_the_text_encoder_is_let_go_before_the_run(words, capsys, folder, monkeypatch):
    """Its weights need not lie beside those of the network and the decoder while these run."""
    seen, run = [], dtool.sample

    def sample(network, *given, **more):
        seen.append(network.text)
        return run(network, *given, **more)

    monkeypatch.setattr(dtool, "sample", sample)
    assert ran(capsys, "sample", TOLD, "--prompt", "a cat", "-n", "2", *words, "--npz", "a.npz", "-q").code == 0
    assert seen == [None]
