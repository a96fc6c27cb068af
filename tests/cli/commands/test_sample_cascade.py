"""`dtool sample base.pt+x2.pt`: a cascade on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.config import TrainConfig
from dtool.training.session import start
from tests.support.commandline import failed, ran

SMALL = {"width": 8, "multipliers": (1,)}


@pytest.fixture
def cascade(folder: Path) -> str:
    """A network of 4x4 pixels, and an upscaler from there to 8x8, two steps each."""
    rng = np.random.default_rng(0)
    for name, size, task in (("base.pt", 4, None), ("x2.pt", 8, "upscale:2"), ("x4.pt", 16, "upscale:2")):
        np.savez("data.npz", x=rng.integers(0, 256, (16, size, size)).astype(np.uint8))
        config = TrainConfig(steps=2, batch_size=4, task=task)
        list(start("data.npz", folder / name, config, network=SMALL, device="cpu").run())
    return "base.pt+x2.pt"


def test_the_last_network_s_pictures_are_written(capsys, cascade, folder):
    words = ("-n", "3", "--steps", "2", "--device", "cpu", "--npz", "a.npz", "-o", "a.png", "--json")
    result = ran(capsys, "sample", f"{cascade}+x4.pt", *words)
    assert result.code == 0, result.err
    about = json.loads(result.out)
    assert (about["calls"], about["model"]) == (6, "base.pt+x2.pt+x4.pt")
    assert np.load("a.npz")["x0"].shape == (3, 1, 16, 16)
    assert (folder / "a.png").exists()


def test_what_does_not_fit_is_refused_before_any_work(capsys, cascade, folder):
    failed(ran(capsys, "sample", "base.pt+x4.pt"), 2, "x4.pt takes low float32 (1, 8, 8), and base.pt draws (1, 4, 4)")
    failed(ran(capsys, "sample", "x2.pt+x4.pt"), 2, "x2.pt needs a picture itself", "begin a cascade")
    failed(ran(capsys, "sample", cascade, "--trace"), 2, "--trace is of one network", "leave it out")
    failed(ran(capsys, "sample", "base.pt+"), 2, "has no name", "base.pt+x2.pt")
    failed(ran(capsys, "sample", cascade, "-o", "x2.pt.png", "--npz", "x2.pt"), 2, "x2.pt")
    assert not (folder / "samples.png").exists()


def test_each_part_of_a_cascade_has_its_noise(capsys, cascade, folder):
    words = ("-n", "2", "--steps", "2", "--device", "cpu", "--json")
    drawn = []
    for number, levels in enumerate((None, "0.2", "0.2,0", "0,0")):
        more = () if levels is None else ("--augment", levels)
        result = ran(
            capsys, "sample", f"{cascade}+x4.pt", *words, *more, "--npz", f"{number}.npz", "-o", f"{number}.png"
        )
        assert result.code == 0, result.err
        assert json.loads(result.out).get("augment") == {"0.2": [0.2, 0.2], "0.2,0": [0.2, 0], "0,0": [0, 0]}.get(
            levels
        )
        drawn.append(np.load(f"{number}.npz")["x0"])
    np.testing.assert_array_equal(drawn[0], drawn[3])
    assert all(np.abs(drawn[0] - drawn[number]).max() > 1e-3 for number in (1, 2))
    assert not np.array_equal(drawn[1], drawn[2])
    failed(ran(capsys, "sample", f"{cascade}+x4.pt", "--augment", "0.1,0.2,0.3"), 2, "3 levels, and 2 networks are fed")
    failed(
        ran(capsys, "sample", cascade, "--augment", "1.5"), 2, "--augment is 1.5, and it is a level of noise", "0.99"
    )
    failed(
        ran(capsys, "sample", "base.pt", "--augment", "0.1"), 2, "--augment is of a cascade", "--condition level=0.1"
    )
