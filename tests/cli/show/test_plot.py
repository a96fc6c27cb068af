"""Pictures that commands draw: named as PNG files, refused where they cannot be written."""

from __future__ import annotations

from tests.support.commandline import failed, ran


def test_a_picture_is_named_as_one(capsys, tmp_path):
    for words in ("schedulers", "plan ddim", "check ddim"):
        failed(ran(capsys, *words.split(), "--plot", tmp_path / "x.txt"), 2, "the picture is a PNG", "end its name")
    assert not list(tmp_path.iterdir())


def test_an_unwritable_plot_is_refused_before_anything_is_made(capsys, tmp_path):
    for command in (["plan", "ddim"], ["schedulers"]):
        failed(ran(capsys, *command, "--plot", tmp_path / "no" / "s.png"), 1, "can't be written", "folder")
    failed(ran(capsys, "plan", "ddim", "--plot", tmp_path), 1, "is a folder")
