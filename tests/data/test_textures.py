"""What pictures are laid on: decoded once, of any size but a smaller one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.data.textures import MOST, load_textures
from dtool.errors import DtoolError


def save(path: Path, width: int, height: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)).convert(mode).save(
        path
    )


def test_pictures_of_all_sizes_are_read_in_colour(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 9, 8)
    save(tmp_path / "more" / "b.png", 300, 40, "L")
    textures = load_textures(str(tmp_path), (8, 8))
    first, second = textures.pictures
    assert first.shape == (3, 8, 9)
    np.testing.assert_array_equal(first.transpose(1, 2, 0), np.asarray(Image.open(tmp_path / "a.png")))
    assert second.shape == (3, 8, 8 * MOST)  # made smaller, and never smaller than what is laid on it
    assert textures.compute_checksum() == load_textures(str(tmp_path), (8, 8)).compute_checksum()
    save(tmp_path / "c.png", 8, 8)
    assert textures.compute_checksum() != load_textures(str(tmp_path), (8, 8)).compute_checksum()


def test_folders_without_pictures_and_pictures_that_are_too_small_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DtoolError, match="there is no such folder"):
        load_textures(str(tmp_path / "none"), (8, 8))
    with pytest.raises(DtoolError, match="holds no pictures"):
        load_textures(str(tmp_path), (8, 8))
    save(tmp_path / "a.png", 7, 20)
    with pytest.raises(DtoolError, match="7x20 pixels, and 8x8 are laid on it") as caught:
        load_textures(str(tmp_path), (8, 8))
    assert caught.value.hint
