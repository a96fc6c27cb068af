"""Squares of 8x8 pixels in three colours, dark and bright, with captions, and a sentence encoder that reads them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
NETWORK = ["--width", "8", "--multipliers", "1,1", "--attention", "1"]


def write_pictures(folder: Path, count: int = 24) -> list[tuple[str, str]]:
    """The pictures, in two sub-folders; returns each one's file and caption."""
    rng, rows = np.random.default_rng(0), []
    for i in range(count):
        colour, level = list(COLOURS)[i % 3], ("dark", "bright")[i % 2]
        pixels = np.array(COLOURS[colour]) * (100 if level == "dark" else 220) + rng.integers(0, 20, (8, 8, 3))
        place = folder / ("even", "odd")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place)
        rows.append((place.relative_to(folder).as_posix(), f"a {level} {colour} square"))
    return rows


def write_table(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A CSV of captions, with a further column."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("file", "caption", "more"), *((*row, "x") for row in rows)])
    return path
