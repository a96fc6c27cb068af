"""`dtool merge`, as it is typed: defaults, JSON, and what it refuses."""

import json

import numpy as np
import pytest

from dtool.parts.filling import fill_folder
from tests.support.block_functions import make_filling
from tests.support.commandline import failed, names, ran


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    filling = make_filling(tmp_path / "samples")
    fill_folder(filling, list(filling.manifest.blocks))
    return filling


def test_the_array_is_named_as_the_folder(folder, capsys):
    result = ran(capsys, "merge", "samples/")
    assert (result.code, result.out) == (0, "samples.npz\n")
    assert "11 images of ddpm, seed 5" in result.err
    assert np.load("samples.npz")["arr_0"].shape == (11, 12, 10, 3)
    told = json.loads(ran(capsys, "merge", "samples", "-o", "other.npz", "--json").out)
    assert told == {
        "file": "other.npz", "images": 11, "recipe": "ddpm", "plan": folder.manifest.plan,
        "model": folder.manifest.model, "seed": 5,
    }  # fmt: skip


def test_somebody_elses_file_is_not_replaced_by_a_name_that_was_not_given(folder, capsys):
    np.savez("samples.npz", mine=np.zeros(1))
    failed(ran(capsys, "merge", "samples"), 2, "samples.npz is there, and dtool did not make it", "-o samples.npz")
    assert ran(capsys, "merge", "samples", "-o", "samples.npz").code == 0


@pytest.mark.parametrize(
    ("words", "code", "cause", "hint"),
    [
        (["nowhere"], 2, "there is no folder nowhere", "--into FOLDER"),
        (["samples", "-o", "a.npy"], 2, "a.npy: the array is an .npz", "PNGs"),
        (["samples", "-o", "samples/a.npz"], 2, "would lie among the blocks", "-o"),
        (["samples", "-o", "pictures", "--exact"], 2, "--exact is for an array", "name an .npz"),
    ],
)
def test_what_cannot_be_is_refused(folder, capsys, words, code, cause, hint):
    failed(ran(capsys, "merge", *words), code, cause, hint)
    assert names() == ["samples"]
