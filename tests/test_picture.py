"""A picture shows what it has room for: all that it ever did, and the first of more, which is said."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from dtool import memory, picture
from dtool.compare.report import picture as comparison
from dtool.errors import DtoolError, UsageError
from dtool.picture import GAP, columns_for, grid, most_tiles, overview, pixels

needs_figures = pytest.mark.skipif(memory.taken() == 0, reason="nothing is known of this process's memory")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (8, 8)])
@pytest.mark.parametrize(("count", "classes", "side"), [(16, 0, 96), (40, 10, 96), (150, 10, 48)])
def test_all_images_are_shown_where_there_is_room(shape: tuple[int, ...], count: int, classes: int, side: int) -> None:
    samples = noise(count, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = overview(samples, (-1, 1), classes)
    whole = grid(pixels(samples), columns_for(count, classes), side)
    assert made.tobytes() == whole.tobytes()


@pytest.mark.parametrize(("classes", "columns"), [(0, 10), (4, 8), (10, 10), (16, 10)])
def test_of_more_images_the_first_are_shown(classes: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST", 109 * (48 + GAP) ** 2)
    samples = noise(60_000, 1, 2, 2)
    rows = 109 // columns
    with pytest.warns(UserWarning, match=f"the picture shows the first {rows * columns} of 60000 images"):
        made = overview(samples, (-1, 1), classes)
    assert made.size == (columns * (48 + GAP) + GAP, rows * (48 + GAP) + GAP)
    assert made.tobytes() == grid(pixels(samples[: rows * columns]), columns, 48).tobytes()


@pytest.mark.filterwarnings("ignore:the picture shows")
def test_what_is_not_shown_is_looked_at_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST", 100 * (48 + GAP) ** 2)
    samples = noise(500, 1, 2, 2)
    samples[-1] = np.nan
    with pytest.raises(DtoolError, match="not finite"):
        overview(samples)
    with pytest.raises(UsageError, match="are no pictures"):
        overview(noise(500, 5, 2, 2))


def test_images_too_large_for_a_picture_are_shown_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST", 200 * 200)
    with pytest.warns(UserWarning, match="one row and one column of an image in 3"):
        made = overview(noise(2, 1, 500, 500))
    assert max(made.size) == 167 + 2 * GAP


@needs_figures
def test_a_picture_keeps_to_what_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    full = most_tiles((1, 28, 28), 48)
    assert full == picture.MOST // (56 + GAP) ** 2
    monkeypatch.setattr(memory, "most", lambda: memory.taken() + picture.PER_PIXEL * picture.MOST / 4)
    assert full // 4 - 20 <= most_tiles((1, 28, 28), 48) <= full // 4 + 20
    monkeypatch.setattr(memory, "most", lambda: 0.0)
    assert most_tiles((1, 28, 28), 48) == 1


def test_a_comparison_shows_fewer_columns_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [SimpleNamespace(name=f"r{i}", steps=1, calls=1, figures={}) for i in range(6)]
    found = SimpleNamespace(
        entries=entries, images=noise(6, 20, 1, 8, 8), n=20, metrics=[], data_range=(-1, 1), seed=0, labels=None,
        class_names=(),
    )  # fmt: skip
    sizes = []
    for room in (1000, 20, 3):
        monkeypatch.setattr(picture, "MOST", room * (64 + GAP) ** 2)
        sizes.append(comparison(found).size)  # type: ignore[arg-type]
    assert sizes[0][0] > sizes[1][0]
    assert sizes[1][1] > sizes[2][1]


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from dtool.picture import overview
samples = np.full((60_000, 1, 28, 28), 0.5, np.float32)
made = overview(samples, (-1, 1), 10)
made.save(sys.argv[1])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(made.size, peak - samples.nbytes)
"""


@needs_figures
def test_the_picture_of_60000_images_keeps_to_the_limit(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "a.png")],
        env={**os.environ, memory.VARIABLE: "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "the picture shows the first 9630 of 60000 images" in done.stderr
    assert int(done.stdout.split()[-1]) < 4e8
