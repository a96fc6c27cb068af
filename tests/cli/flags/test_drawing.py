"""Which images of which noise are drawn."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from tests.support.commandline import failed, network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_classes_are_repeated_over_the_images(capsys):
    ran(capsys, "sample", "--steps", 2, "-n", 5, "--class", "2,none", "--npz", "c.npz")
    with np.load("c.npz") as saved:
        assert saved["labels"].tolist() == [2, 3, 2, 3, 2]


def test_classes_of_an_unconditional_network_are_refused(capsys, monkeypatch):
    bare = network(classes=0)
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": bare)
    failed(ran(capsys, "sample", "--class", "1", "--steps", 2), 2, "not conditional", "leave --class out")


def test_a_threshold_is_another_way_of_clipping(tmp_path, capsys) -> None:
    pytest.importorskip("onnxruntime")
    for name, words in (("clip", ()), ("threshold", ("--threshold", "0.9"))):
        done = ran(capsys, "sample", "-n", 2, "--steps", 4, "--npz", tmp_path / f"{name}.npz", *words)
        assert done.code == 0, done.err
    images = [np.load(tmp_path / f"{name}.npz")["x0"] for name in ("clip", "threshold")]
    assert np.abs(images[0] - images[1]).max() > 1e-3
    done = ran(capsys, "sample", "--threshold", "2", "-o", tmp_path / "a.png")
    assert done.code == 2
    assert "not a share" in done.err
    assert not (tmp_path / "a.png").exists()
