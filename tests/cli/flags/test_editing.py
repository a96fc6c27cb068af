"""The flags of editing: what is said of them, and which pictures an image gets by its id."""

from pathlib import Path

import numpy as np

from dtool.cli.flags.editing import EditedFiles, EditingWords


def test_images_get_pictures_and_masks_in_turn_by_their_ids():
    files = EditedFiles(images=np.arange(3).reshape(3, 1), masks=np.array([[7]]))
    taken = files.take([0, 4, 2])
    assert taken["image"].tolist() == [[0], [1], [2]]
    assert taken["mask"].tolist() == [[7]] * 3
    assert EditedFiles().take([0, 1]) == {}


def test_what_was_typed_is_described_and_its_files_are_known():
    words = EditingWords(image=Path("a.png"), strength=0.0, mask=Path("m.png"))
    assert words.describe() == {"image": "a.png", "strength": 0.0, "mask": "m.png"}
    assert words.list_files() == [Path("a.png"), Path("m.png")]
