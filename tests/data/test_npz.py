"""Images in NumPy archives: shapes, ranges, labels, and entries that promise what is not there."""

import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dtool.data import images
from dtool.data.images import load
from dtool.errors import DtoolError
from dtool.util import memory
from tests.support.archives import RAW, misplaced
from tests.support.data_files import BYTES, GREY, archive, declared, npy, refused, said
from tests.support.marks import needs_figures


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


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.array([0, 2**40]), "a label 1099511627776, at most 99999"),
        (np.array([0, 2**63], np.uint64), "a label 9223372036854775808"),
        (np.array([0, 2**64 - 1], np.uint64), "a label 18446744073709551615"),
        (np.array([0, 100_000]), "a label 100000"),
        (np.array([0, -1]), "there is -1"),
        (np.array([0, -128], np.int8), "there is -128"),
        (np.array([0.0, np.nan]), "not float64"),
        (np.array([0.0, 1.0]), "not float64"),
        (np.array([True, False]), "not bool"),
        (np.array(["a", "b"]), "not <U1"),
        (np.array([1, 2], dtype="m8[s]"), "not timedelta64"),
        (np.array([1j, 0]), "not complex128"),
        (np.array(3), r"labels of shape () for 2 images"),
        (np.array([[0], [1]]), "labels of shape (2, 1)"),
        (np.zeros(2, [("a", "i4")]), "integers from 0"),
    ],
)
def test_labels_that_are_none(labels: np.ndarray, says: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", x=npy(np.stack([GREY] * 2)), y=npy(labels))
    assert says in str(refused(path))
    assert load(str(path), classes=False).labels is None


@pytest.mark.parametrize("kind", ["u1", ">u2", "<i8", ">i4", "<u8"])
def test_labels_of_any_width(kind: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", x=npy(np.stack([GREY] * 3)), y=npy(np.array([2, 0, 1]).astype(kind)))
    labels = load(str(path)).labels
    assert labels is not None
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (declared("(1000000000000, 28, 28)", body=bytes(9)), "promises 784000000000000 bytes, and 9 follow"),
        (declared("(4611686018427387904, 2, 2)", body=bytes(9)), "promises 18446744073709551616 bytes"),
        (declared("(2, 5, 6)", body=bytes(61)), "promises 60 bytes, and 61 follow"),
        (declared("(2, -5, -6)", body=bytes(60)), "promises 60 bytes"),
        (declared("(2, 5, 6)", "|O", bytes(480)), "Python objects"),
        (declared("(" * 3000 + ")" * 3000), "makes no sense"),
        (declared("(2, 5, 'a')"), "makes no sense"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(99), "its header has 4294967295 bytes"),
        (b"\x93NUMPY\x09\x00" + bytes(99), "no array in NumPy's format"),
        (b"", "no array in NumPy's format"),
        (declared("(2, 5, 6)", "<u2", bytes(120)), "images of type uint16"),
        (declared("(2, 5, 6)", "<c8", bytes(480)), "images of type complex64"),
        (declared("()", "|u1", bytes(1)), "images of shape ()"),
        (declared("(2, 0, 6)", "|u1"), "images of shape (2, 0, 6)"),
    ],
)
def test_entries_that_promise_what_is_not_there(entry: bytes, says: str, tmp_path: Path) -> None:
    assert says in str(refused(archive(tmp_path / "a.npz", x=entry)))


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_of_any_kind_and_order(kind: str, order: str, tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 120).reshape(2, 5, 4, 3).astype(kind)
    path = archive(tmp_path / "a.npz", x=npy(np.asarray(values, order=order)))
    pixels = load(str(path)).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, values.transpose(0, 3, 1, 2).astype(np.float32))


def test_large_arrays_are_converted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dtool.data import npz

    monkeypatch.setattr(npz, "AT_ONCE", 500)
    values = np.random.default_rng(0).random((41, 5, 6, 3))
    np.savez_compressed(tmp_path / "a.npz", x=values)
    pixels = load(str(tmp_path / "a.npz")).pixels
    np.testing.assert_array_equal(pixels, values.transpose(0, 3, 1, 2).astype(np.float32) * 2 - 1)


@needs_figures
def test_an_archive_a_thousand_times_its_size_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=declared("(2000, 100, 100)", body=bytes(2 * 10**7)))
    monkeypatch.setattr(memory, "get_limit", lambda: memory.get_usage() + 1e7)
    monkeypatch.setattr(memory, "MIN_CHECKED_BYTES", 1e6)
    error = refused(path)
    assert "images of shape (2000, 100, 100), would take 0.02 GB of memory" in str(error)


def test_entries_that_lie_about_their_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=npy(np.stack([GREY] * 2)))
    data = path.read_bytes()
    true = struct.pack("<I", 128 + 60)
    for false in (10**9, 128 + 59, 128 + 61):
        path.write_bytes(data.replace(true, struct.pack("<I", false)))
        assert "can't be read as an .npz" in str(refused(path))


def test_other_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", zipfile.ZIP_LZMA, x=npy(np.stack([GREY] * 2)))
    assert "compressed in another way" in str(refused(path))
    with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            file.writestr("x.npy", npy(np.stack([GREY] * 2)))
    assert "two arrays named 'x'" in str(refused(path))


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


def test_other_arrays_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=BYTES, y=[0, 1, 1], images=BYTES, names=[1])
    assert said(tmp_path / "a.npz")[1] == "x is read, and not images, names"
    np.savez(tmp_path / "a.npz", x_train=BYTES, y_train=[0, 1, 1])
    with pytest.raises(DtoolError, match=r"no array named x, images or arr_0 \(but x_train, y_train\)"):
        load(str(tmp_path / "a.npz"))


def test_an_npz_whose_table_of_contents_is_misplaced(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((2, 4, 4), np.uint8))
    misplaced(path)
    with pytest.raises(DtoolError, match=r"can't be read as an \.npz") as caught:
        images.load(str(path))
    assert "Invalid argument" not in str(caught.value)
    assert not RAW.search(str(caught.value))
