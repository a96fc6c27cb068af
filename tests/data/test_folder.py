"""Folders of pictures: their classes, their sizes, and what is left out of them."""

from pathlib import Path

import numpy as np
from PIL import Image

from dtool.data.images import load
from tests.support.data_files import picture, pictures, refused, said, saved


def test_folder_of_grey_images(tmp_path: Path) -> None:
    arrays = [picture(tmp_path / f"{i}.png", value=i) for i in range(3)]
    images = load(str(tmp_path))
    assert images.shape == (1, 6, 5)
    assert images.labels is None
    np.testing.assert_allclose(images.take()[:, 0], np.stack(arrays) / 127.5 - 1, atol=1e-6)


def test_subfolders_are_classes_at_any_depth(tmp_path: Path) -> None:
    picture(tmp_path / "dog" / "deep" / "a.png", mode="RGB")
    picture(tmp_path / "cat" / "b.bmp", mode="RGB")
    picture(tmp_path / "cat" / "c.webp", mode="RGB")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    picture(tmp_path / ".hidden" / "d.png")
    images = load(str(tmp_path))
    assert images.class_names == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 1]
    assert images.shape == (3, 6, 5)
    assert load(str(tmp_path), classes=False).labels is None


def test_one_colour_image_makes_all_colour(tmp_path: Path) -> None:
    grey = picture(tmp_path / "0.png")
    colour = picture(tmp_path / "1.png", mode="RGB")
    pixels = load(str(tmp_path)).pixels
    np.testing.assert_array_equal(pixels[0], np.stack([grey] * 3))
    np.testing.assert_array_equal(pixels[1], colour.transpose(2, 0, 1))


def test_size_crops_the_middle_and_resizes(tmp_path: Path) -> None:
    array = np.zeros((8, 16, 3), np.uint8)
    array[:, 4:12] = 200  # the square in the middle; what is left and right of it must go
    for i in range(2):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    pixels = load(str(tmp_path), size=(4, 4)).pixels
    assert pixels.shape == (2, 3, 4, 4)
    assert (np.abs(pixels.astype(int) - 200) <= 15).all()  # what the filter sees beyond the edge
    assert load(str(tmp_path), size=(6, 4)).shape == (3, 6, 4)


def test_unequal_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (6, 5))
    picture(tmp_path / "b.png", (7, 5))
    error = refused(tmp_path)
    assert "b.png: 5x7 pixels, but a.png has 5x6" in str(error)
    assert "--size 5" in error.hint


def test_broken_images(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", (40, 40))
    whole = (tmp_path / "b.png").read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no image at all"):
        (tmp_path / "b.png").write_bytes(broken)
        error = refused(tmp_path)
        assert "b.png: broken" in str(error)


def test_a_folder_without_pictures_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"x")
    error = refused(tmp_path)
    assert "holds no images" in str(error)
    assert "data.npz" in error.hint


def test_pictures_beside_sub_folders_cost_the_classes_and_that_is_said(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name)
    pictures(tmp_path, 1)
    images, text = said(tmp_path)
    assert images.labels is None
    assert text == "1 of 5 images lie beside the sub-folders (0.png): all are read without classes"
    assert said(tmp_path, classes=False)[1] == ""


def test_sub_folders_without_pictures(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name)
    (tmp_path / "bird" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    images, text = said(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert text == "no images, and so no class, in bird"


def test_a_single_class_is_none(tmp_path: Path) -> None:
    pictures(tmp_path / "cat")
    images, text = said(tmp_path)
    assert images.labels is None
    assert text == "all images are of one class, 'cat': read without classes"
    assert said(tmp_path, classes=True)[0].class_names == ("cat",)


def test_classes_whose_names_cannot_be_written(tmp_path: Path) -> None:
    pictures(tmp_path / "cat\x1b[31m")
    assert "'cat\\x1b[31m'" in str(refused(tmp_path))
    assert len(load(str(tmp_path), classes=False)) == 2
    (tmp_path / "cat\x1b[31m").rename(tmp_path / "猫\u3000x")
    pictures(tmp_path / "dog")
    assert load(str(tmp_path)).class_names == ("dog", "猫\u3000x")


def test_one_picture_in_colour_among_grey_ones_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    saved(tmp_path / "red.png", Image.new("RGB", (6, 5), "red"))
    images, text = said(tmp_path)
    assert images.shape == (3, 5, 6)
    assert text == "1 of 4 images is in colour (red.png): all are read in colour"
