"""Files that would hang a run or fill the memory are refused before they are read, with the cause and the remedy."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool import bounded, memory
from dtool.compare.gate import read_baseline
from dtool.data.images import load
from dtool.errors import DtoolError, UsageError
from dtool.metrics import Classifier
from dtool.samplers.statistics import VarianceStatistics
from dtool.schedulers.from_file import read_numbers

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
needs_figures = pytest.mark.skipif(memory.taken() == 0, reason="nothing is known of this process's memory")


def refused(source: Path, **options: object) -> DtoolError:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DtoolError) as caught:
            load(str(source), **options)  # type: ignore[arg-type]
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def pictures(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(GREY + np.uint8(i)).save(folder / f"{i}.png")
    return folder


def sparse(path: Path, size: int, start: bytes = b"") -> Path:
    """A file that says it has `size` bytes, and takes no room on the disk."""
    path.write_bytes(start)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def png(path: Path, width: int, height: int, colour: int = 0) -> Path:
    """A whole PNG of a few hundred kilobytes at most, that is black."""
    channels = {0: 1, 2: 3}[colour]
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(1 + width * channels)) for _ in range(height)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(text)) + name + text + struct.pack(">I", zlib.crc32(name + text)) for name, text in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def declared(shape: str, dtype: str = "|u1", body: bytes = b"") -> bytes:
    """A .npy whose header says what it likes."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive(path: Path, method: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return path


# --- kinds of file -------------------------------------------------------------


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return "a FIFO"


def listening(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)  # the address of a socket is short
        made.bind(path.name)
    return "a socket"


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "a device"


@needs_fifos
@pytest.mark.parametrize("make", [fifo, listening, device])
@pytest.mark.parametrize("name", ["x.png", "images-idx3-ubyte", "images-idx3-ubyte.gz", "x.npz"])
def test_what_is_no_file_is_neither_opened_nor_waited_for(
    name: str, make: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = pictures(tmp_path / "data") / name
    kind = make(path)
    error = refused(path if name == "x.npz" else path.parent)
    assert f"it is {kind}, not a file" in str(error)
    assert name in str(error)


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


def test_a_file_that_grows_is_not_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert bounded.content(tmp_path / "a") == b"12345"
    with pytest.raises(bounded.UnreadableError, match="5 bytes; no more than 4"):
        bounded.content(tmp_path / "a", 4)
    monkeypatch.setattr(bounded, "size_of", lambda _file: 3)
    with pytest.raises(bounded.UnreadableError, match="grows"):
        bounded.content(tmp_path / "a")


# --- pictures ------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(13000, 13000), (9000, 9000)])
def test_huge_pictures_are_refused_by_their_header(width: int, height: int, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        end = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + end)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own advice is for programmers
        with pytest.raises(
            DtoolError, match=f"a.png: {width}x{height} pixels: an image has at most 67 million"
        ) as caught:
            load(str(tmp_path))
    assert "--size" in caught.value.hint


def test_pictures_beyond_any_use_are_refused_with_a_size_too(tmp_path: Path) -> None:
    pictures(tmp_path)
    sparse(
        tmp_path / "c.bmp",
        100,
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 20000, 20000, 1, 24, *[0] * 6),
    )
    error = refused(tmp_path, size=(8, 8))
    assert "c.bmp: more than 179 million pixels" in str(error)
    assert "smaller" in error.hint


@needs_figures
def test_pictures_that_do_not_fit_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        png(tmp_path / name, 4000, 4000)
    monkeypatch.setattr(memory, "most", lambda: memory.taken() + 2e7)
    monkeypatch.setattr(memory, "NOTABLE", 1e6)
    error = refused(tmp_path)
    assert error.exit_code == 2
    assert "2 images of 16000000 values would take 0.032 GB of memory; there are 0.0" in str(error)
    error = refused(tmp_path, size=(8, 8))
    assert "a.png, 4000x4000 pixels, would take 0.032 GB" in str(error)


@needs_figures
def test_a_size_beyond_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path)
    assert "--size 10000x10000: an image has at most" in str(refused(tmp_path, size=(10**4, 10**4)))
    monkeypatch.setenv(memory.VARIABLE, ".1")
    assert "would take 0.128 GB" in str(refused(tmp_path, size=(8000, 8000)))


def test_big_photographs_are_made_smaller_while_they_are_decoded(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("L", (5000, 4000), 100 + i).save(tmp_path / f"{i}.jpg")
    pixels = load(str(tmp_path), size=(4, 4)).pixels
    assert abs(pixels[0].astype(int) - 100).max() <= 1


def test_what_only_looks_like_a_picture(tmp_path: Path) -> None:
    pictures(tmp_path)
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"", b"\x89HDF\r\n\x1a\n" + bytes(99)):
        (tmp_path / "2.png").write_bytes(content)
        assert "2.png: broken, or not an image (no format that is known)" in str(refused(tmp_path))
    Image.fromarray(GREY).save(tmp_path / "2.png", "BMP")  # another format than the name says is read all the same
    assert len(load(str(tmp_path))) == 3


def test_mutated_pictures_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8))
    pictures(tmp_path, 1)
    kinds = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO", "PCX", "SGI", "DDS", "QOI", "IM", "MSP")
    for kind in kinds:
        whole = io.BytesIO()
        (colour.convert("1") if kind == "MSP" else colour).save(whole, kind)
        for _ in range(12):
            data = bytearray(whole.getvalue())
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(256)
            (tmp_path / "m.png").write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(DtoolError):
                    assert load(str(tmp_path), size=(4, 4)).shape[1:] == (4, 4)


# --- IDX -----------------------------------------------------------------------


def idx(path: Path, shape: tuple[int, ...], body: bytes) -> Path:
    data = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + body
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


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
    assert says in str(refused(idx(tmp_path / name, shape, body)))


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


@needs_figures
def test_sparse_files_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "1")
    size = 2 * 10**10
    path = sparse(tmp_path / "images-idx3-ubyte", 16 + size, struct.pack(">4B3I", 0, 0, 8, 3, size // 10**4, 100, 100))
    error = refused(path)
    assert error.exit_code == 2
    assert "would take 20 GB of memory; there are 0." in str(error)
    for read in (read_baseline, VarianceStatistics.read, Classifier):
        with pytest.raises(DtoolError):
            read(path)
    assert "5 GB of memory" in str(
        refused(sparse(pictures(tmp_path / "p") / "x.webp", 5 * 10**9, b"RIFF\0\0\0\0WEBP").parent)
    )


# --- npz -----------------------------------------------------------------------


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
    monkeypatch.setattr(memory, "most", lambda: memory.taken() + 1e7)
    monkeypatch.setattr(memory, "NOTABLE", 1e6)
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


# --- numbers -------------------------------------------------------------------


def test_numbers_are_read_as_ever(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2, 3], ">i2"))
    (tmp_path / "a.json").write_text("[1, 2.0, 3e0]")
    (tmp_path / "a.txt").write_text("1, 2\n3\n")
    for path in tmp_path.iterdir():
        assert read_numbers(path, "betas").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "0.1\nroot:x:0:0\n", "entry 2 is no number"),
        ("a.txt", "0.1 nan", "number 2 is not finite"),
        ("a.txt", "1e999", "number 1 is not finite"),
        ("a.txt", "1 " * (10**6 + 1), "more than 1000000 numbers"),
        ("a.json", "[0.1, NaN]", "number 2 is not finite"),
        ("a.json", '[0.1, "0.2"]', "entry 2 is no number"),
        ("a.json", "[0.1, true]", "entry 2 is no number"),
        ("a.json", "[[0.1], [0.2]]", "entry 1 is no number"),
        ("a.json", "[1" + "0" * 400 + "]", "entry 1 is no number"),
        ("a.json", "[1" + "0" * 5000 + "]", "it is no JSON"),
        ("a.json", '{"secret": 1}', "it is no list"),
        ("a.json", "secret", "it is no JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", "[" + "0," * 10**6 + "0]", "more than 1000000 numbers"),
    ],
)
def test_numbers_that_are_none(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=f"cannot read betas from .*{name}: .*{says}") as caught:
        read_numbers(tmp_path / name, "betas")
    assert caught.value.hint
    assert not any(word in str(caught.value) for word in ("x:0", "secret"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (declared("(1000000000000,)", "<f8", bytes(8)), "promises 8000000000000 bytes"),
        (npy(np.zeros((2, 2))), r"not a row of numbers"),
        (npy(np.zeros(())), r"not a row of numbers"),
        (npy(np.array(["0.1"])), r"not a row of numbers"),
        (npy(np.zeros(2, complex)), r"not a row of numbers"),
        (npy(np.zeros(10**6 + 1, np.uint8)), "more than 1000000 numbers"),
        (b"\xff\xfe", "no array"),
    ],
)
def test_arrays_of_numbers_that_are_none(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        read_numbers(tmp_path / "a.npy", "times")


@needs_fifos
@pytest.mark.parametrize("suffix", [".npy", ".json", ".txt"])
def test_numbers_are_read_from_files_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    for make in (fifo, device):
        kind = make(path)
        with pytest.raises(UsageError, match=f"it is {kind}, not a file"):
            read_numbers(path, "betas")
        path.unlink()
    sparse(path, 10**12)
    with pytest.raises(UsageError, match=r"no more than|no array"):
        read_numbers(path, "betas")
    path.unlink()
    with pytest.raises(UsageError, match="No such file"):
        read_numbers(path, "betas")
    path.mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        read_numbers(path, "betas")


@needs_fifos
@pytest.mark.parametrize("read", [read_baseline, VarianceStatistics.read, Classifier])
def test_other_files_of_users(read: Callable[[Path], object], tmp_path: Path) -> None:
    for i, make in enumerate((fifo, device)):
        kind = make(tmp_path / str(i))
        with pytest.raises(DtoolError, match=f"it is {kind}, not a file"):
            read(tmp_path / str(i))
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(DtoolError):
        read(tmp_path / "deep")


# --- memory --------------------------------------------------------------------

PEAK = """
import re, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from dtool.data.images import load
from dtool.errors import DtoolError
try:
    load(sys.argv[1], size=(8, 8) if len(sys.argv) > 2 else None)
except DtoolError as error:
    print(error, file=sys.stderr)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
"""


@needs_figures
@pytest.mark.parametrize("kind", ["pictures", "pictures, resized", "npz", "gz"])
def test_the_limit_holds(kind: str, tmp_path: Path) -> None:
    if kind.startswith("pictures"):
        side = 6000 if "resized" in kind else 4000
        for name in ("a.png", "b.png"):
            png(tmp_path / name, side, side, 2)
        source = tmp_path
    elif kind == "npz":
        body = bytes(1 << 27)
        source = archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=declared("(8192, 128, 128)", body=body))
    else:
        source = tmp_path / "images-idx3-ubyte.gz"
        header = struct.pack(">4B3I", 0, 0, 8, 3, 8192, 128, 128)
        source.write_bytes(gzip.compress(header) + gzip.compress(bytes(1 << 20), 1) * 128)
    limit = "0.15"
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(source), *(["size"] if "resized" in kind else [])],
        env={**os.environ, memory.VARIABLE: limit}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "of memory; there are" in done.stderr
    assert int(done.stdout) < float(limit) * 1e9
