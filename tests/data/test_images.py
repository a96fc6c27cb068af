"""Every kind of DATA gives images in [-1, 1] with their labels, and a broken one is named with what to do."""

import gzip
import os
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.cli.run import run
from dtool.data.images import Images, load, load_for
from dtool.util import memory
from tests.support.data_files import (
    BYTES,
    archive,
    declared,
    device,
    fifo,
    listening,
    picture,
    pictures,
    png,
    refused,
    said,
    saved,
)
from tests.support.marks import needs_fifos, needs_figures


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


def test_digits_need_no_file() -> None:
    pytest.importorskip("sklearn")
    images = load("digits")
    assert (len(images), images.shape) == (1797, (1, 8, 8))
    assert (float(images.pixels.min()), float(images.pixels.max())) == (-1, 1)


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
        env={**os.environ, memory.LIMIT_VARIABLE: limit}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "of memory; there are" in done.stderr
    assert int(done.stdout) < float(limit) * 1e9


def test_classes_that_never_occur(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=BYTES, y=[0, 4, 5])
    images, text = said(tmp_path / "a.npz")
    assert len(images.class_names) == 6
    assert text == "3 classes have no image: 1, 2, 3"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a comparison trains nothing
        load_for(str(tmp_path / "a.npz"), (1, 5, 6))


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
