"""Every kind of DATA gives images in [-1, 1] with their labels, and every broken one says which file and what to do."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.data.images import Images, load
from dtool.data.pixels import eight_bit
from dtool.errors import DtoolError

MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def picture(path: Path, size: tuple[int, int] = (6, 5), mode: str = "L", value: int = 0) -> np.ndarray:
    """Write an image of `size` (H, W) in random greys or colours; returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    array = rng.integers(0, 256, (*size, len(mode)) if len(mode) > 1 else size, dtype=np.uint8)
    Image.fromarray(array).save(path)
    return array


def idx(path: Path, array: np.ndarray) -> Path:
    data = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def refused(source: Path | str, **options: object) -> DtoolError:
    with pytest.raises(DtoolError) as caught:
        load(str(source), **options)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


# --- folders -----------------------------------------------------------------


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


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / f"{i}.png")
    assert (load(str(tmp_path)).pixels == 255).all()


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (5, 6), dtype=np.uint16)
    wide[0, :2] = 0, 65535
    for k in range(2):
        Image.fromarray(wide).save(tmp_path / f"{k}.png")
    read = load(str(tmp_path)).pixels
    assert read.shape == (2, 1, 5, 6)
    assert np.abs(read - wide / 257.0).max() <= 0.5
    assert (np.asarray(eight_bit(Image.fromarray(wide.astype(np.int32)))) == read[0, 0]).all()
    assert (read[:, 0, 0, :2] == (0, 255)).all()


@pytest.mark.parametrize("low", [-1, 0])
def test_pixels_of_more_than_sixteen_bits_are_refused(low: int) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        eight_bit(Image.fromarray(np.array([[low, 65536 + low * 65536]], np.int32)))
    with pytest.raises(ValueError, match="floating"):
        eight_bit(Image.fromarray(np.ones((2, 2), np.float32)))


def test_grey_with_transparency_is_grey(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (5, 6, 2), dtype=np.uint8)
    for k in range(2):
        Image.fromarray(array, "LA").save(tmp_path / f"{k}.png")
    read = load(str(tmp_path)).pixels
    grey, cover = array.astype(float).transpose(2, 0, 1)
    assert read.shape == (2, 1, 5, 6)
    assert np.abs(read[0, 0] - (255 - cover / 255 * (255 - grey))).max() <= 1


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


def test_empty_folder_and_wrong_places(tmp_path: Path) -> None:
    assert "holds no images" in str(refused(tmp_path))
    assert "no such file" in str(refused(tmp_path / "none"))
    (tmp_path / "data.csv").write_text("1,2")
    assert "not a kind of data" in str(refused(tmp_path / "data.csv"))


def test_labels_asked_for_where_there_are_none(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    error = refused(tmp_path, classes=True)
    assert "no labels" in str(error)
    assert "sub-folder" in error.hint


def test_one_image_is_too_few(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    assert "too few" in str(refused(tmp_path))


# --- IDX ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_by_file_or_folder(suffix: str, tmp_path: Path) -> None:
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    path = idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", array)
    idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([2, 0, 1]))
    for source in (path, tmp_path):
        images = load(str(source))
        np.testing.assert_array_equal(images.pixels[:, 0], array)
        assert images.labels is not None
        assert images.labels.tolist() == [2, 0, 1]
        assert images.class_names == ("0", "1", "2")


def test_training_images_are_preferred(tmp_path: Path) -> None:
    idx(tmp_path / "t10k-images.idx3-ubyte", np.zeros((2, 4, 4)))
    idx(tmp_path / "train-images.idx3-ubyte", np.ones((3, 4, 4)))
    assert len(load(str(tmp_path))) == 3


def test_damaged_idx(tmp_path: Path) -> None:
    path = idx(tmp_path / "images-idx3-ubyte.gz", np.zeros((3, 4, 4)))
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    assert "can't be read" in str(refused(path))
    path.write_bytes(b"plain, not gzip")
    assert "can't be read" in str(refused(path))
    path.write_bytes(gzip.compress(gzip.decompress(data)[:-1]))
    assert "promises 48 bytes, and 47 follow" in str(refused(path))
    idx(path, np.zeros(7))
    assert "not an IDX file" in str(refused(path))


def test_idx_labels_of_another_length(tmp_path: Path) -> None:
    path = idx(tmp_path / "images-idx3-ubyte", np.zeros((3, 4, 4)))
    idx(tmp_path / "labels-idx1-ubyte", np.zeros(4))
    assert "labels-idx1-ubyte: 4 labels for 3 images" in str(refused(path))


@pytest.mark.skipif(not MNIST.is_dir(), reason="the MNIST files are not beside the repository")
def test_mnist() -> None:
    images = load(str(MNIST))
    assert (len(images), images.shape) == (10_000, (1, 28, 28))
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    with pytest.raises(DtoolError, match="--size works for folders"):
        load(str(MNIST), size=(32, 32))


# --- npz and digits -------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 6, 5, 1), (4, 1, 6, 5)])
def test_npz_layouts(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 5), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=array.reshape(shape), y=np.array([0, 1, 1, 2]))
    images = load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(images.pixels[:, 0], array)
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 1, 2]


def test_npz_colour_is_channels_last(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((4, 6, 5, 3))
    np.savez(tmp_path / "a.npz", array)
    np.testing.assert_allclose(load(str(tmp_path / "a.npz")).pixels, array.transpose(0, 3, 1, 2) * 2 - 1, atol=1e-6)


def test_npz_floats_keep_minus_one_to_one(tmp_path: Path) -> None:
    array = np.linspace(-1, 1, 60, dtype=np.float32).reshape(2, 6, 5)
    np.savez_compressed(tmp_path / "a.npz", images=array)
    np.testing.assert_array_equal(load(str(tmp_path / "a.npz")).take()[:, 0], array)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pictures": np.zeros((2, 3, 3), np.uint8)}, "no array named x, images or arr_0"),
        ({"x": np.zeros((2, 3), np.uint8)}, r"shape \(2, 3\)"),
        ({"x": np.zeros((2, 9, 9, 9), np.uint8)}, "no axis of 1 to 4 channels"),
        ({"x": np.zeros((0, 9, 9), np.uint8)}, "shape"),
        ({"x": np.zeros((2, 9, 9), np.int64)}, "int64"),
        ({"x": np.full((2, 9, 9), 255.0)}, "255 to 255"),
        ({"x": np.full((2, 9, 9), np.nan)}, "nan"),
        ({"x": np.zeros((2, 9, 9), np.uint8), "y": np.zeros(3, int)}, r"labels of shape \(3,\) for 2 images"),
        ({"x": np.zeros((2, 9, 9), np.uint8), "y": np.array([0.5, 1])}, "integers"),
        ({"x": np.zeros((2, 9, 9), np.uint8), "y": np.array([-1, 1])}, "integers from 0"),
        ({"x": np.array([{}, {}], dtype=object)}, "can't be read"),
    ],
)
def test_npz_that_makes_no_sense(arrays: dict[str, np.ndarray], says: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DtoolError, match=says):
        load(str(tmp_path / "a.npz"))


def test_broken_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 9, 9), np.uint8))
    whole = (tmp_path / "a.npz").read_bytes()
    for broken in (whole[:300], b"", b"text"):
        (tmp_path / "a.npz").write_bytes(broken)
        assert "can't be read" in str(refused(tmp_path / "a.npz"))


def test_digits_need_no_file() -> None:
    pytest.importorskip("sklearn")
    images = load("digits")
    assert (len(images), images.shape) == (1797, (1, 8, 8))
    assert (float(images.pixels.min()), float(images.pixels.max())) == (-1, 1)


# --- statistics ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "grid"), [((1, 28, 28), (8, 8)), ((3, 28, 28), (4, 4)), ((1, 8, 1), (8, 1)), ((3, 2, 9), (2, 4))]
)
def test_statistics_are_those_of_the_pooled_pixels(shape: tuple[int, ...], grid: tuple[int, int]) -> None:
    array = np.random.default_rng(0).uniform(-1, 1, (40, *shape)).astype(np.float32)
    found = Images(array).statistics()
    rows = [np.arange(i * shape[1] // grid[0], -(-(i + 1) * shape[1] // grid[0])) for i in range(grid[0])]
    columns = [np.arange(j * shape[2] // grid[1], -(-(j + 1) * shape[2] // grid[1])) for j in range(grid[1])]
    pooled = [array[:, c][:, r][:, :, k].mean(axis=(1, 2)) for c in range(shape[0]) for r in rows for k in columns]
    assert (found.grid, found.count) == (grid, 40)
    np.testing.assert_allclose(found.mean, np.mean(pooled, axis=1), atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(pooled), atol=1e-6)


def test_fingerprint_sees_pixels_and_labels() -> None:
    pixels = np.zeros((4, 1, 3, 3), np.uint8)
    changed = pixels.copy()
    changed[3, 0, 2, 2] = 1
    labels = np.array([0, 1, 0, 1])
    assert len({Images(p, y).fingerprint() for p in (pixels, changed) for y in (None, labels, 1 - labels)}) == 6
