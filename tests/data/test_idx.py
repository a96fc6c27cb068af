"""IDX files as MNIST has them: which split is read, and headers that promise what is not there."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from dtool.data.images import load
from dtool.errors import DtoolError, UsageError
from tests.support.data_files import BYTES, GREY, idx, pictures, raw_idx, refused, said
from tests.support.places import MNIST


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


@pytest.mark.parametrize("name", ["a-images-idx3-ubyte", "a-images-idx3-ubyte.gz"])
@pytest.mark.parametrize(
    ("shape", "body", "says"),
    [
        ((2**31, 2**31, 4), b"", "promises 18446744073709551616 bytes"),  # 2^64: nothing, to who counts in 64 bits
        ((2**31, 2**31, 4), bytes(64), "promises 18446744073709551616 bytes"),
        ((10**6, 1000, 1000), bytes(64), "promises 1000000000000 bytes"),
        ((2**32 - 1,) * 3, bytes(3), "promises 79228162458924105385300197375 bytes"),
        ((2, 4, 4), bytes(33), "promises 32 bytes, and"),
        ((2, 4, 4), bytes(31), "promises 32 bytes, and 31 follow"),
        ((0, 4, 4), b"", "holds nothing"),
        ((2, 0, 4), b"", "holds nothing"),
    ],
)
def test_headers_that_promise_what_is_not_there(
    name: str, shape: tuple[int, ...], body: bytes, says: str, tmp_path: Path
) -> None:
    assert says in str(refused(raw_idx(tmp_path / name, shape, body)))


def test_what_a_compressed_file_becomes_is_bounded_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    bomb = gzip.compress(bytes(1 << 20))
    path.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2, 4, 4) + bytes(32)) + bomb * 2000)  # 2 GB
    assert "promises 32 bytes, and more than 32 follow" in str(refused(path))
    path.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2, 4, 4) + bytes(32)) + b"garbage")
    assert "can't be read" in str(refused(path))


def test_a_compressed_file_in_two_members_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2, 5, 6)) + gzip.compress(GREY.tobytes() * 2))
    np.testing.assert_array_equal(load(str(path)).pixels[:, 0], np.stack([GREY] * 2))


def split(folder: Path, name: str, images: np.ndarray, labels: list[int] | None) -> Path:
    if labels is not None:
        raw_idx(folder / f"{name}-labels-idx1-ubyte.gz", (len(labels),), bytes(labels))
    return raw_idx(folder / f"{name}-images-idx3-ubyte.gz", images.shape, images.tobytes())


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
    raw_idx(tmp_path / "train-images-idx3-ubyte", BYTES.shape, BYTES.tobytes())
    images, text = said(tmp_path)
    assert (len(images), text) == (3, "")


def test_labels_of_another_split_are_not_taken(tmp_path: Path) -> None:
    split(tmp_path, "train", BYTES, None)
    raw_idx(tmp_path / "t10k-labels-idx1-ubyte", (3,), bytes([0, 1, 2]))
    images, text = said(tmp_path)
    assert images.labels is None
    assert "read without classes, there is no train-labels-idx1-ubyte beside it, only t10k-labels-idx1-ubyte" in text


def test_pictures_beside_idx_files_are_not_read(tmp_path: Path) -> None:
    pictures(tmp_path, 1)
    split(tmp_path, "train", BYTES, [0, 1, 0])
    assert said(tmp_path)[1] == "1 of its files is not read: 0.png"


@pytest.mark.parametrize("kind", [0x09, 0x0B, 0x0C, 0x0D, 0x0E])
def test_idx_of_other_numbers_than_bytes_is_refused(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(struct.pack(">4B3I", 0, 0, kind, 3, 2, 4, 4) + bytes(32))
    assert "not an IDX file" in str(refused(path))
