"""A picture shows what it has room for: all that it ever did, and the first of more, which is said."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.util import memory, pictures
from dtool.util.pictures import (
    GAP,
    TileRow,
    choose_columns,
    draw_grid,
    draw_labelled_grid,
    draw_overview,
    enlarge,
    get_max_tiles,
    measure_text,
    spell_out,
    to_pixels,
)
from tests.support.marks import needs_figures


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (8, 8)])
@pytest.mark.parametrize(("count", "classes", "side"), [(16, 0, 96), (40, 10, 96), (150, 10, 48)])
def test_all_images_are_shown_where_there_is_room(shape: tuple[int, ...], count: int, classes: int, side: int) -> None:
    samples = noise(count, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = draw_overview(samples, (-1, 1), classes)
    whole = draw_grid(to_pixels(samples), choose_columns(count, classes), side)
    assert made.tobytes() == whole.tobytes()


@pytest.mark.parametrize(("classes", "columns"), [(0, 10), (4, 8), (10, 10), (16, 10)])
def test_of_more_images_the_first_are_shown(classes: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 109 * (48 + GAP) ** 2)
    samples = noise(60_000, 1, 2, 2)
    rows = 109 // columns
    with pytest.warns(UserWarning, match=f"the picture shows the first {rows * columns} of 60000 images"):
        made = draw_overview(samples, (-1, 1), classes)
    assert made.size == (columns * (48 + GAP) + GAP, rows * (48 + GAP) + GAP)
    assert made.tobytes() == draw_grid(to_pixels(samples[: rows * columns]), columns, 48).tobytes()


@pytest.mark.filterwarnings("ignore:the picture shows")
def test_what_is_not_shown_is_looked_at_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100 * (48 + GAP) ** 2)
    samples = noise(500, 1, 2, 2)
    samples[-1] = np.nan
    with pytest.raises(DtoolError, match="not finite"):
        draw_overview(samples)
    with pytest.raises(UsageError, match="are no pictures"):
        draw_overview(noise(500, 5, 2, 2))


def test_images_too_large_for_a_picture_are_shown_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 200 * 200)
    with pytest.warns(UserWarning, match="one row and one column of an image in 3"):
        made = draw_overview(noise(2, 1, 500, 500))
    assert max(made.size) == 167 + 2 * GAP


@needs_figures
def test_a_picture_keeps_to_what_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    full = get_max_tiles((1, 28, 28), 48)
    assert full == pictures.MAX_PIXELS // (56 + GAP) ** 2
    monkeypatch.setattr(
        memory, "get_limit", lambda: memory.get_usage() + pictures.BYTES_PER_PIXEL * pictures.MAX_PIXELS / 4
    )
    assert full // 4 - 20 <= get_max_tiles((1, 28, 28), 48) <= full // 4 + 20
    monkeypatch.setattr(memory, "get_limit", lambda: 0.0)
    assert get_max_tiles((1, 28, 28), 48) == 1


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from dtool.util.pictures import draw_overview
samples = np.full((60_000, 1, 28, 28), 0.5, np.float32)
made = draw_overview(samples, (-1, 1), 10)
made.save(sys.argv[1])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(made.size, peak - samples.nbytes)
"""


@needs_figures
def test_the_picture_of_60000_images_keeps_to_the_limit(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "a.png")],
        env={**os.environ, memory.LIMIT_VARIABLE: "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "the picture shows the first 9630 of 60000 images" in done.stderr
    assert int(done.stdout.split()[-1]) < 4e8


def test_pixels_map_the_range_and_cut_off_what_is_beyond():
    values = np.array([[[[-2.0, -1.0, 0.0, 1.0, 5.0]]]])
    assert to_pixels(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert to_pixels(values, (0, 5))[0, 0, :, 1].tolist() == [0, 0, 0, 51, 255]
    assert to_pixels(np.zeros((2, 4, 6))).shape == (2, 4, 6, 3)
    colours = np.stack([np.full((2, 2), c) for c in (-1.0, 0.0, 1.0)])[None]
    assert to_pixels(colours)[0, 0, 0].tolist() == [0, 128, 255]


def test_what_is_no_picture_is_refused():
    with pytest.raises(UsageError, match=r"shape \(2,\) are no pictures"):
        to_pixels(np.zeros((4, 2)))
    with pytest.raises(DtoolError, match="not finite"):
        to_pixels(np.full((1, 1, 2, 2), np.nan))


@pytest.mark.parametrize(
    ("count", "classes", "columns"),
    [(16, 10, 4), (30, 10, 10), (10, 10, 5), (7, 0, 3), (1, 0, 1), (12, 0, 4), (11, 3, 4)],
)
def test_columns(count, classes, columns):
    assert choose_columns(count, classes) == columns


def test_the_grid_shows_every_image_enlarged_by_whole_pixels():
    tiles = np.random.default_rng(6).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    big = enlarge(tiles, 9)
    assert big.shape == (5, 8, 8, 3)
    drawn = np.asarray(draw_grid(tiles, 3, side=8))
    assert drawn.shape == (2 * 8 + 3 * 3, 3 * 8 + 4 * 3, 3)
    np.testing.assert_array_equal(drawn[14:22, 14:22], big[4])
    assert (drawn[14:22, 25:33] == 255).all()


def test_labels_are_never_cut_off():
    long = "a-very-long-recipe-name:with=options@cosine:max_beta=0.99/karras:rho=5"
    tiles = np.zeros((2, 8, 8, 3), np.uint8)
    drawn = np.asarray(
        draw_labelled_grid([TileRow(name=long, note="", tiles=tiles)], ["first head", "second"], "title " * 30, side=8)
    ).min(axis=2)
    assert drawn.shape[1] >= measure_text(long, 15) + 2 * 8 + 2 * 16
    assert (drawn[:, :14] == 255).all(), "the left margin is clear"
    assert (drawn[:, -14:] == 255).all(), "the right margin is clear"


def test_text_that_the_typeface_lacks_is_spelt():
    assert spell_out("β̃ → σ") == "beta? to sigma"
    assert spell_out("MMD² of 8×8") == "MMD^2 of 8x8"
    assert pictures.measure_text("β", 12) == pictures.measure_text("beta", 12)
