"""What of a folder is looked at: links, other files, and things that are no files."""

import os
from pathlib import Path

import numpy as np
import pytest

from dtool.data.images import load
from tests.support.data_files import GREY, pictures, refused, said
from tests.support.marks import needs_fifos


@needs_fifos
def test_what_is_no_picture_s_file_is_left_out_and_said(tmp_path: Path) -> None:
    os.mkfifo(pictures(tmp_path) / "pipe")
    with pytest.warns(UserWarning, match="1 of its files is not read: pipe"):
        assert len(load(str(tmp_path))) == 2


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    pictures(tmp_path / "elsewhere", 3)
    folder = pictures(tmp_path / "data" / "a").parent
    pictures(folder / "b", 1)
    (folder / "b" / "linked.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="2 of its files are not read: b/loop, c"):
        images = load(str(folder))
    assert images.class_names == ("a", "b")
    assert len(images) == 4
    np.testing.assert_array_equal(images.pixels[3, 0], GREY + np.uint8(2))


def test_links_to_nothing(tmp_path: Path) -> None:
    (pictures(tmp_path) / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert "gone.png: is a link to a file that isn't there" in str(refused(tmp_path))
    (tmp_path / "gone.png").unlink()
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    assert "round.png: " in str(refused(tmp_path))


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "x.png")
    pictures(tmp_path / "y.png", 1)
    assert load(str(tmp_path)).class_names == ("x.png", "y.png")


def test_files_that_are_not_read_are_listed(tmp_path: Path) -> None:
    pictures(tmp_path)
    for name in ("notes.txt", "b.heic", "c.svg", "d.npz", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._0.png").write_bytes(b"x")
    assert said(tmp_path)[1] == "4 of its files are not read: b.heic, c.svg, d.npz and 1 more"
    for path in tmp_path.glob("[b-d].*"):
        path.unlink()
    assert said(tmp_path)[1] == "1 of its files is not read: notes.txt"
    (tmp_path / "notes.txt").unlink()
    assert said(tmp_path)[1] == ""
