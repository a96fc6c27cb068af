"""The pictures that commands write say how they were made, and cost nobody a file of theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import failed, names, network, ran, use_network

QUICK = ("--steps", 2, "-n", 2, "-q")
MINE = b"a photograph"


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_the_picture_says_how_it_was_made(capsys):
    ran(capsys, "sample", "--steps", 3, "-n", 2, "--seed", 7)
    with Image.open("samples.png") as picture:
        settings = json.loads(picture.text["dtool"])
    assert (settings["recipe"], settings["steps"], settings["seed"], settings["n"]) == ("ddpm", 3, 7, 2)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("sample", *QUICK), "samples.png"),
        (("sample", *QUICK, "--trace", "-o", "a.png"), "a-trace.png"),
        (("forward", "digit", "--scheduler", "linear"), "forward.png"),
        (("compare", "ddim", *QUICK, "--repeats", 1), "compare.png"),
    ],
)
def test_a_usual_name_is_not_taken_from_somebody_elses_file(capsys, words, name):
    Image.new("RGB", (4, 4)).save(name)
    before = Path(name).read_bytes()
    failed(ran(capsys, *words), 2, f"{name} is there, and dtool did not make it", "-o")
    assert Path(name).read_bytes() == before
    assert names() == [name]
    Path(name).unlink()
    for _ in range(2):  # its own it replaces
        assert ran(capsys, *words).code == 0
    if "-o" not in words:
        Path(name).write_bytes(MINE)
        assert ran(capsys, *words, "-o", name).code == 0, "a name that was given is"
        assert Path(name).read_bytes() != MINE


def test_a_usual_array_is_not_taken_from_somebody_elses_file(capsys, monkeypatch):
    points = dtool.network(lambda x, t: x, shape=(2,))
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": points)
    np.savez("samples.npz", x=np.zeros(3))
    failed(ran(capsys, "sample", *QUICK), 2, "samples.npz is there, and dtool did not make it", "--npz")
    Path("samples.npz").unlink()
    assert [ran(capsys, "sample", *QUICK).code for _ in range(2)] == [0, 0]
