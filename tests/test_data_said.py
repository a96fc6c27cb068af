"""What is left out of DATA, or assumed of it, is said in one line; what leaves nothing open is read in silence."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_data_limits import GREY, fifo, idx, needs_fifos, pictures, refused

from dtool.cli.run import run
from dtool.data.images import Images, load, load_for
from dtool.data.pixels import eight_bit, suffixes
from dtool.errors import DtoolError, UsageError

BYTES = np.stack([GREY, GREY + np.uint8(1), GREY + np.uint8(2)])


def said(source: Path, **options: object) -> tuple[Images, str]:
    """What is read, and all that is said of it, without the name of what is read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = load(str(source), **options)  # type: ignore[arg-type]
    return images, "; ".join(str(each.message).removeprefix(f"{source}: ") for each in caught)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


# --- what a folder holds -------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a.tif", "a.tiff", "a.gif", "a.ppm", "a.pgm", "a.jfif", "a.JPG", "a.jpe", "a.tga", "a.ico", "a.jp2", "a.PNG",
     "a.apng", "a.pcx", "a.sgi", "a.qoi", "a.dib", "a.pnm"],
)  # fmt: skip
def test_all_that_pillow_reads_is_read(name: str, tmp_path: Path) -> None:
    for i in range(2):
        image = Image.new("RGB" if name in ("a.ppm", "a.qoi") else "L", (16, 16), "red" if name == "a.ppm" else "white")
        saved(tmp_path / f"{i}{name}", image)
    images, text = said(tmp_path)
    assert len(images) == 2
    assert "not read" not in text


def test_what_draws_with_other_programs_or_is_no_still_picture_is_not_read() -> None:
    assert not suffixes() & {".eps", ".ps", ".pdf", ".h5", ".hdf", ".mpg", ".mpeg", ".wmf", ".emf", ".grib", ".fits"}
    assert suffixes() >= {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".jfif"}


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


def test_animations_give_their_first_picture(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 5), value) for value in (10, 200, 90)]
    for name in ("a.gif", "b.png", "c.webp", "d.tif"):
        saved(
            tmp_path / name,
            frames[0],
            save_all=True,
            append_images=frames[1:],
            **({"lossless": True} if name == "c.webp" else {}),
        )
    images, text = said(tmp_path)
    assert (images.pixels == 10).all()
    assert "4 of 4 files hold several pictures, and the first of each is read: a.gif, b.png, c.webp and 1 more" in text


# --- grey or in colour -----------------------------------------------------------


def test_one_picture_in_colour_among_grey_ones_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    saved(tmp_path / "red.png", Image.new("RGB", (6, 5), "red"))
    images, text = said(tmp_path)
    assert images.shape == (3, 5, 6)
    assert text == "1 of 4 images is in colour (red.png): all are read in colour"


def grey_palette() -> Image.Image:
    image = Image.fromarray(GREY, "L").convert("P")
    colours = [(i, i, i) for i in range(255)] + [(255, 0, 0)]  # a colour that is not used
    image.putpalette([value for colour in colours for value in colour])
    return image


def sixteen_bits_with_alpha(path: Path) -> Path:
    """A PNG of two 16-bit samples a pixel, grey and alpha, which Pillow does not write."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">HH", int(value) * 257, 65535) for value in row) for row in GREY)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 6, 5, 16, 4, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(t)) + n + t + struct.pack(">I", zlib.crc32(n + t)) for n, t in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def test_what_is_grey_stays_grey(tmp_path: Path) -> None:
    grey = Image.fromarray(GREY)
    saved(tmp_path / "a.png", grey_palette())
    saved(tmp_path / "b.gif", grey_palette())
    saved(tmp_path / "c.png", grey.convert("LA"))
    saved(tmp_path / "d.tif", Image.fromarray(GREY.astype(np.uint16) * 257))
    sixteen_bits_with_alpha(tmp_path / "e.png")
    saved(tmp_path / "f.png", grey, transparency=255)
    saved(tmp_path / "g.bmp", grey_palette())
    images, text = said(tmp_path)
    assert images.shape == (1, 5, 6)
    assert text == ""
    np.testing.assert_array_equal(images.pixels[:, 0], np.stack([GREY] * 7))


def test_one_bit_and_transparent_greys(tmp_path: Path) -> None:
    bits = (GREY > 100).astype(np.uint8) * 255
    saved(tmp_path / "a.png", Image.fromarray(bits).convert("1"))
    saved(tmp_path / "b.tif", Image.fromarray(bits).convert("1"))
    saved(tmp_path / "c.png", Image.fromarray(GREY.astype(np.uint16) * 257), transparency=0)
    clear = Image.fromarray(GREY).convert("P")
    clear.putpalette([value for i in range(256) for value in (i, i, i)])
    saved(tmp_path / "d.png", clear, transparency=0)
    images, text = said(tmp_path)
    assert (images.shape, text) == ((1, 5, 6), "")
    white = np.where(GREY == 0, 255, GREY)
    np.testing.assert_array_equal(images.pixels[:, 0], np.stack([bits, bits, white, white]))


def test_a_palette_with_colours_that_are_used_is_in_colour(tmp_path: Path) -> None:
    image = grey_palette()
    image.putpixel((0, 0), 255)
    assert eight_bit(image).mode == "RGB"
    assert eight_bit(grey_palette().convert("PA")).mode == "L"


def test_grey_in_three_channels_is_said(tmp_path: Path) -> None:
    for i in range(2):
        saved(tmp_path / f"{i}.png", Image.fromarray(GREY).convert("RGB"))
    images, text = said(tmp_path)
    assert images.shape == (3, 5, 6)
    assert text == "the images are grey, and stored in three equal channels"


def test_turned_photographs_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    for i in range(2):
        saved(tmp_path / f"{i}.png", Image.fromarray(GREY), exif=exif)
    pixels = load(str(tmp_path)).pixels
    np.testing.assert_array_equal(pixels[0, 0], np.rot90(GREY, -1))


def test_other_colour_spaces_become_rgb(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", Image.new("CMYK", (6, 5), (0, 255, 255, 0)), quality=100)
    saved(tmp_path / "b.tif", Image.new("CMYK", (6, 5), (0, 255, 255, 0)))
    saved(tmp_path / "c.tif", Image.new("YCbCr", (6, 5), (76, 85, 255)))
    pixels = load(str(tmp_path)).pixels.astype(int)
    assert np.abs(pixels - np.array([255, 0, 0])[None, :, None, None]).max() <= 3


# --- IDX -------------------------------------------------------------------------


def split(folder: Path, name: str, images: np.ndarray, labels: list[int] | None) -> Path:
    if labels is not None:
        idx(folder / f"{name}-labels-idx1-ubyte.gz", (len(labels),), bytes(labels))
    return idx(folder / f"{name}-images-idx3-ubyte.gz", images.shape, images.tobytes())


def test_the_training_split_is_read_and_that_is_said(tmp_path: Path) -> None:
    split(tmp_path, "emnist-letters-test", BYTES[:2], [1, 2])
    split(tmp_path, "emnist-letters-train", BYTES, [1, 2, 3])
    images, text = said(tmp_path)
    assert len(images) == 3
    assert images.labels is not None
    assert images.labels.tolist() == [1, 2, 3]
    assert text == (
        "emnist-letters-train-images-idx3-ubyte.gz is read, not emnist-letters-test-images-idx3-ubyte.gz; "
        "1 class has no image: 0"
    )
    assert said(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz")[0].class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "names", [("digits-train", "letters-train"), ("digits-test", "t10k"), ("a", "b"), ("untrained", "b")]
)
def test_several_splits_are_not_guessed_among(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        split(tmp_path, name, BYTES, None)
    error = refused(tmp_path)
    assert isinstance(error, UsageError)
    assert "holds 2 IDX files of images" in str(error)
    assert all(f"{name}-images-idx3-ubyte.gz" in str(error) for name in names)


def test_a_split_packed_and_unpacked_is_one(tmp_path: Path) -> None:
    split(tmp_path, "train", BYTES, [0, 1, 1])
    idx(tmp_path / "train-images-idx3-ubyte", BYTES.shape, BYTES.tobytes())
    images, text = said(tmp_path)
    assert (len(images), text) == (3, "")


def test_labels_of_another_split_are_not_taken(tmp_path: Path) -> None:
    split(tmp_path, "train", BYTES, None)
    idx(tmp_path / "t10k-labels-idx1-ubyte", (3,), bytes([0, 1, 2]))
    images, text = said(tmp_path)
    assert images.labels is None
    assert "read without classes, there is no train-labels-idx1-ubyte beside it, only t10k-labels-idx1-ubyte" in text


def test_pictures_beside_idx_files_are_not_read(tmp_path: Path) -> None:
    pictures(tmp_path, 1)
    split(tmp_path, "train", BYTES, [0, 1, 0])
    assert said(tmp_path)[1] == "1 of its files is not read: 0.png"


# --- npz -------------------------------------------------------------------------


def test_classes_that_never_occur(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=BYTES, y=[0, 4, 5])
    images, text = said(tmp_path / "a.npz")
    assert len(images.class_names) == 6
    assert text == "3 classes have no image: 1, 2, 3"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a comparison trains nothing
        load_for(str(tmp_path / "a.npz"), (1, 5, 6))


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 1, "pixels from 0 to 1 are taken as floats in 0 … 1"),
        (0.2, 0.7, "pixels from 0.2 to 0.7 are taken as floats in 0 … 1"),
        (-0.001, 1, "pixels from -0.001 to 1 are taken as floats in -1 … 1"),
        (-1, 1, ""),
        (-0.9, -0.2, ""),
    ],
)
def test_what_floats_are_taken_for(low: float, high: float, text: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.linspace(low, high, 60).reshape(2, 5, 6))
    images, found = said(tmp_path / "a.npz")
    assert found == text
    first = 2 * low - 1 if low >= 0 else low
    assert images.pixels.flat[0] == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "read", "text"),
    [
        ((3, 3, 32, 3), (3, 3, 32), "read as (N, H, W, C), not as (N, C, H, W)"),
        ((3, 4, 4, 4), (4, 4, 4), "read as (N, H, W, C), not as (N, C, H, W)"),
        ((3, 1, 9, 1), (1, 1, 9), "read as (N, H, W, C), not as (N, C, H, W)"),
        ((32, 32, 3), (1, 32, 3), "read as 32 grey images of 32x3 pixels"),
        ((3, 9, 8, 3), (3, 9, 8), ""),
        ((3, 3, 9, 8), (3, 9, 8), ""),
        ((3, 9, 8), (1, 9, 8), ""),
    ],
)
def test_what_a_shape_is_taken_for(shape: tuple[int, ...], read: tuple[int, ...], text: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    images, found = said(tmp_path / "a.npz")
    assert images.shape == read
    assert found == (f"shape {shape} is {text}" if text else "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "every pixel of every image is 0"), (255, "every pixel of every image is 255")],
)
def test_images_of_one_value(value: int, text: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.full((2, 5, 6), value, np.uint8))
    assert said(tmp_path / "a.npz")[1] == text


def test_images_that_are_nearly_black(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=(BYTES > 99).astype(np.uint8))
    assert said(tmp_path / "a.npz")[1] == "the brightest pixel is 1 of 255: the images are nearly black"


def test_other_arrays_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=BYTES, y=[0, 1, 1], images=BYTES, names=[1])
    assert said(tmp_path / "a.npz")[1] == "x is read, and not images, names"
    np.savez(tmp_path / "a.npz", x_train=BYTES, y_train=[0, 1, 1])
    with pytest.raises(DtoolError, match=r"no array named x, images or arr_0 \(but x_train, y_train\)"):
        load(str(tmp_path / "a.npz"))


# --- the command line --------------------------------------------------------------


def test_forward_says_which_picture_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [Image.new("L", (6, 5), value) for value in (10, 200)]
    saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert run(["forward", "a.gif", "--scheduler", "linear", "--steps", "2"]) == 0
    assert capsys.readouterr().err == "warning: a.gif holds several pictures: the first is shown\n"


@needs_fifos
def test_forward_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fifo(tmp_path / "a.png")
    assert run(["forward", "a.png", "-o", "b.png"]) == 1
    assert capsys.readouterr().err == "error: a.png: it is a FIFO, not a file\nhint: take it away\n"
    assert not (tmp_path / "b.png").exists()
