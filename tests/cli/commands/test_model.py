"""`dtool model` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commandline import failed, ran

TOLD = "tests.support.told_networks:text_network"


def test_it_says_what_a_network_takes_and_gives_and_how_its_makers_sample_it(capsys, folder):
    result = ran(capsys, "model", TOLD)
    assert result.code == 0, result.err
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    for line in (
        "what it is what a closed form that is told a text",
        "what it is opened by the reader words",
        "what it takes one sample 4×3×3",
        "what it takes schedule linear, 1000 steps, vp",
        "what it takes prediction eps: the noise",
        "what it takes time index: the index of the step, 0 … 999",
        "what it takes condition text float32, 4 numbers; made of the prompt",
        "what it takes condition size float32, a number; filled with 0 where it is not given",
        "what it takes prompts --prompt TEXT, which makes text",
        "what it gives samples 3×6×6 in -1 … 1, decoded from what is sampled, by Doubling",
        "how it is sampled its makers' dpmpp-2m/karras, 7 steps",
        "how it is sampled differs Its makers start a little later.",
        "what dtool assumes It was trained on 1,000 steps.",
    ):
        assert line in lines


def test_as_json_it_says_the_same(capsys, folder):
    about = json.loads(ran(capsys, "model", TOLD, "--json").out)
    assert (about["reader"], about["makers_recipe"], about["makers_steps"]) == ("words", "dpmpp-2m/karras", 7)
    assert about["conditions"][0] == {"name": "text", "shape": [4], "dtype": "float32", "null": None}
    assert (about["shape"], about["picture_shape"], about["has_codec"]) == ([4, 3, 3], [3, 6, 6], True)


@pytest.mark.parametrize("model", ["gmm:d=2", "two-diracs"])
def test_a_closed_form_is_a_model(capsys, folder, model):
    assert "a law in closed form" in ran(capsys, "model", model).out


def test_without_a_model_it_lists_what_can_be_opened(capsys, folder):
    result = ran(capsys, "model")
    assert result.code == 0, result.err
    assert ".onnx" in result.out
    assert "package.module:factory" in result.out
    assert isinstance(json.loads(ran(capsys, "model", "--json").out), list)


def test_what_is_said_of_a_file_is_remembered_beside_it(capsys, host_file):
    import onnx

    net = onnx.load(host_file)
    del net.metadata_props[:]
    onnx.save(net, "foreign.onnx")
    said = ("--schedule", "linear", "--prediction", "eps", "--num-classes", "3")
    failed(ran(capsys, "model", "foreign.onnx"), 1, "foreign.onnx")
    assert ran(capsys, "model", "foreign.onnx", *said, "--remember").code == 0
    assert json.loads(Path("foreign.onnx.dtool.json").read_text())["schedule"] == "linear"
    about = json.loads(ran(capsys, "model", "foreign.onnx", "--json").out)
    assert (about["prediction"], about["classes"], about["remembered"]) == ("eps", 3, "foreign.onnx.dtool.json")
    assert ran(capsys, "sample", "foreign.onnx", "--steps", "3", "-n", "2").code == 0


def test_there_must_be_something_to_remember(capsys, folder):
    failed(ran(capsys, "model", "--remember"), 2, "not said of which model", "name its file")
    failed(ran(capsys, "model", TOLD, "--remember"), 2, "there is nothing to remember", "--prediction")
    failed(
        ran(capsys, "model", "no.onnx", "--schedule", "linear", "--remember"), 2, "there is no file or folder no.onnx"
    )


def test_a_recommended_guidance_is_remembered_and_used(capsys, host_file):
    import onnx

    net = onnx.load(host_file)
    del net.metadata_props[:]
    onnx.save(net, "foreign.onnx")
    said = ("--schedule", "linear", "--prediction", "eps", "--num-classes", "3", "--null-class")
    card = ("--default-guidance", 3, "--guidance-interval=-1.3:0.3", "--remember")
    result = ran(capsys, "model", "foreign.onnx", *said, *card)
    assert result.code == 0, result.err
    assert "3@-1.3:0.3" in result.out
    about = json.loads(ran(capsys, "model", "foreign.onnx", "--json").out)
    assert (about["guidance"], about["guidance_interval"]) == (3.0, [-1.3, 0.3])
    drawn = ran(capsys, "sample", "foreign.onnx", "--steps", 8, "-n", 2, "--json")
    told = json.loads(drawn.out)
    assert (told["recipe"].partition("~")[2], told["evaluations"]) == ("cfg:low=-1.3,high=0.3,scale=3.0", 11)
    for wrong in ("0.3:-1.3", "1", "a:b", "-inf:0"):
        failed(
            ran(capsys, "model", "foreign.onnx", f"--guidance-interval={wrong}"), 2, "lower and a higher λ", "-1.3:0.3"
        )
