"""`dtool evaluate` as a user types it."""

import json

import numpy as np
import pytest

from dtool.metrics import evaluate_stream
from tests.support.commandline import ran

COUNT = 850


@pytest.fixture(autouse=True)
def images(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    mine, real = (random.integers(0, 200, (COUNT, 4, 4, 1), np.uint8) // (1 + i) for i in range(2))
    np.savez("samples.npz", arr_0=mine)
    np.savez("real.npz", arr_0=real)
    return [values.transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1) for values in (mine, real)]


def test_figures_are_those_of_the_same_images_in_memory(capsys, images):
    result = ran(capsys, "evaluate", "samples.npz", "--data", "real.npz", "--metrics", "energy,recall,fd", "--json")
    document = json.loads(result.out)
    assert (result.code, document["n"], document["m"]) == (0, COUNT, COUNT)
    for name, figure in evaluate_stream(*images, ["energy", "recall", "fd"]).items():
        assert document["metrics"][name]["value"] == figure.value, name


def test_the_document_has_the_same_bytes_for_any_number_of_workers(capsys):
    words = ("evaluate", "samples.npz", "--data", "real.npz", "--json", "--metrics", "mmd,fd,recall")
    alone = ran(capsys, *words)
    assert alone.code == 0
    for workers in (1, 2, 7):
        assert ran(capsys, *words, "--workers", str(workers)).out == alone.out


def test_a_table_says_what_was_not_computed(capsys):
    result = ran(capsys, "evaluate", "samples.npz", "--data", "real.npz")
    assert "850 samples against 850 real images" in result.out
    assert "sliced-w2: sliced-w2 needs all images at once" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("samples.npz",), "there are no real images"),
        (("samples.npz", "--data", "nowhere"), "nowhere: there is no such file or folder"),
        (("samples.npz", "--data", "digits"), "samples.npz holds images of (1, 4, 4), digits of (1, 8, 8)"),
        (("samples.npz", "--data", "real.npz", "--metrics", "none"), "none"),
        (("few.npz", "--data", "real.npz", "--metrics", "mmd"), "10 samples are too few"),
    ],
)
def test_bad_input_is_said_in_a_line(capsys, words, said):
    np.savez("few.npz", arr_0=np.zeros((10, 4, 4, 1), np.uint8))
    result = ran(capsys, "evaluate", *words)
    assert result.code in (1, 2)
    assert said in result.err
