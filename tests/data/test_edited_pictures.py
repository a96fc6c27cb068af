"""Pictures that a run begins at: colours, transparency, sizes, folders."""

import numpy as np
import pytest
from PIL import Image

from dtool.data.edited_pictures import read_masks, read_pictures
from dtool.errors import DtoolError, UsageError


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:, :3, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png", pixels


def test_a_picture_is_read_as_it_is_and_white_where_it_is_transparent(photo):
    path, pixels = photo
    read = read_pictures(path, (3, 6, 8), fit=False)
    assert np.array_equal(read.pixels[0][:, :, 3:], pixels[:, 3:, :3].transpose(2, 0, 1))
    assert (read.pixels[0][:, :, :3] == 255).all()
    assert np.array_equal(read.clear[0, 0], pixels[..., 3] < 255)


def test_another_size_is_refused_and_fitted_if_asked(photo):
    with pytest.raises(UsageError, match="8x6 pixels, and the network's pictures have 4x4") as error:
        read_pictures(photo[0], (3, 4, 4), fit=False)
    assert "--fit" in error.value.hint
    read = read_pictures(photo[0], (3, 4, 4), fit=True)
    assert read.pixels.shape == (1, 3, 4, 4)
    assert read.clear.shape == (1, 1, 4, 4)


def test_colour_is_taken_away_only_if_asked(photo):
    with pytest.raises(UsageError, match="in colour, and the network's pictures are grey"):
        read_pictures(photo[0], (1, 6, 8), fit=False)
    assert read_pictures(photo[0], (1, 6, 8), fit=True).pixels.shape == (1, 1, 6, 8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_grey_is_grey_however_it_is_stored(tmp_path, mode):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    Image.fromarray(grey).convert(mode).save(tmp_path / "grey.png")
    assert np.array_equal(read_pictures(tmp_path / "grey.png", (1, 4, 4), fit=False).pixels[0, 0], grey)
    assert np.array_equal(read_pictures(tmp_path / "grey.png", (3, 4, 4), fit=False).pixels[0], [grey] * 3)


def test_a_folder_gives_its_pictures_in_order(tmp_path):
    for i in (2, 0, 1):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"{i}.png")
    assert read_pictures(tmp_path, (1, 4, 4), fit=False).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_a_mask_is_white_where_the_picture_is_drawn_anew(tmp_path):
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "mask.png")
    assert read_masks(tmp_path / "mask.png", (2, 2), fit=False).tolist() == [[[[0, 1], [1, 0]]]]


@pytest.mark.parametrize(("name", "message"), [("", "holds no images"), ("nowhere.png", "there is no file or folder")])
def test_nothing_to_read_is_refused(tmp_path, name, message):
    with pytest.raises(DtoolError, match=message) as error:
        read_pictures(tmp_path / name, (1, 4, 4), fit=False)
    assert error.value.hint


def test_samples_that_are_no_pictures_are_refused(photo):
    with pytest.raises(UsageError, match="are no pictures"):
        read_pictures(photo[0], (2,), fit=False)
