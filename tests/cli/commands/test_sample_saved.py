"""A plan that was saved, on the command line, as it is typed."""

from __future__ import annotations

import json

import pytest

import dtool
from tests.support.commandline import failed, ran


@pytest.fixture
def saved(capsys, tmp_path):
    """A plan of 6 steps, saved by the command itself."""
    path = tmp_path / "saved.json"
    done = ran(capsys, "plan", "dpmpp-2m@cosine/karras", "--steps", 6, "-o", path)
    assert done.code == 0, done.err
    assert f"saved as {path}" in done.err
    assert dtool.Plan.from_json(path.read_text(encoding="utf-8")) == dtool.plan("dpmpp-2m@cosine/karras", steps=6)
    return path


def test_sample_runs_it_as_it_is(capsys, saved, tmp_path):
    pictures = []
    for words in (("--plan", saved), ("--recipe", saved), ("--recipe", "dpmpp-2m@cosine/karras", "--steps", 6)):
        out = tmp_path / "x.npz"
        done = ran(capsys, "sample", *words, "-n", 2, "--npz", out, "-o", tmp_path / "x.png")
        assert done.code == 0, done.err
        assert "2 images, dpmpp-2m@cosine/karras, 6 steps" in done.err
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1]


def test_compare_and_check_take_it_as_a_recipe(capsys, saved, tmp_path):
    out = tmp_path / "c.json"
    done = ran(capsys, "compare", "gmm:d=2", saved, "ddim", "--steps", 6, "-n", 16, "-o", out)
    assert done.code == 0, done.err
    assert len(json.loads(out.read_text(encoding="utf-8"))["entries"]) == 2
    shown = ran(capsys, "plan", saved)
    assert "6 steps, 6 network calls" in shown.err


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--steps", 5), "holds a plan of 6 steps, not of 5"),
        (("--spacing", "karras"), "whose levels are its own"),
        (("--sampler", "ddim"), "--plan holds the sampler already"),
    ],
)
def test_what_it_cannot_follow_is_refused(capsys, saved, tmp_path, words, cause):
    failed(ran(capsys, "sample", "--plan", saved, *words, "-o", tmp_path / "x.png"), 2, cause)
    assert not (tmp_path / "x.png").exists()


def test_files_that_are_none(capsys, tmp_path):
    failed(ran(capsys, "sample", "--plan", tmp_path / "none.json"), 2, "none.json cannot be read")
    failed(ran(capsys, "plan", "ddim", "--steps", 3, "-o", tmp_path / "x.txt"), 2, "is to hold JSON")
