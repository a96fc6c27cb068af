"""Measure editing with the network inside the package, and write docs/editing.md and its two pictures.

`python docs/measure_editing.py DATA` takes MNIST's IDX files, or any other data of 28x28 grey pictures. Nothing is told
of classes and nothing is guided, so that what fills a hole follows from the rest of the picture alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dtool
from dtool.data.images import load_for
from dtool.util.pictures import TileRow, draw_labelled_grid, to_pixels

DOCS = Path(__file__).parent
STRENGTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
STEPS = 20
FILLS = {
    "ddim": ("ddim", STEPS),
    "ddpm": ("ddpm", STEPS),
    "ddpm, RePaint's resampling": ("ddpm/repaint:jump_length=4,jump_n=3", 2 * STEPS),
}
METRICS = ("mmd", "density", "coverage")
Images = NDArray[np.float32]


def measure_distance(a: Images, b: Images) -> float:
    """The root mean square of the difference, of pixels in -1 … 1."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def vary(network: dtool.Network, images: Images) -> tuple[list[str], list[Images]]:
    """A line for each strength, and what the images become at it."""
    others = measure_distance(images, np.roll(images, 1, axis=0))
    results = [
        dtool.sample(network, "dpmpp-2m", steps=STEPS, image=images, strength=strength, labels=-1, guidance=1)
        for strength in STRENGTHS
    ]
    lines = [
        "| strength | calls | distance to the image | as a share of that between two images |",
        "|---|---|---|---|",
    ]
    for strength, run in zip(STRENGTHS, results, strict=True):
        distance = measure_distance(run.x0, images)
        lines.append(f"| {strength:g} | {run.calls} | {distance:.3f} | {distance / others:.2f} |")
    return lines, [run.x0 for run in results]


def fill(network: dtool.Network, images: Images, drawn: NDArray[np.bool_]) -> dict[str, tuple[Images, int]]:
    """The images with the part that is `drawn` made in each way, and the network calls that this takes."""
    noise = np.random.default_rng(0).standard_normal(images.shape).astype(np.float32).clip(-1, 1)
    usual = dtool.sample(network, "ddpm", steps=STEPS, n=len(images), labels=-1, guidance=1)
    ways = {
        "copied from another image": (np.where(drawn, np.roll(images, 1, axis=0), images), 0),
        "a usual run's lower half": (np.where(drawn, usual.x0, images), usual.calls),
        "Gaussian noise": (np.where(drawn, noise, images), 0),
    }
    for name, (recipe, steps) in FILLS.items():
        run = dtool.sample(network, recipe, steps=steps, image=images, mask=drawn, labels=-1, guidance=1)
        assert np.array_equal(run.x0[:, :, ~drawn], images[:, :, ~drawn]), "what is known must be exact"
        ways[name] = (run.x0, run.calls)
    return ways


def tabulate(
    ways: dict[str, tuple[Images, int]], images: Images, others: Images, drawn: NDArray[np.bool_]
) -> list[str]:
    """Law errors of the whole images against others of the data; how far the filled part is from the original."""
    reference = dtool.metrics.Reference(others)
    lines = [
        f"| filled by | calls | {' | '.join(METRICS)} | distance of the filled part |",
        "|---|---|---|---|---|---|",
    ]
    for name, (filled, calls) in {**ways, "the images themselves": (images, 0)}.items():
        figures = dtool.metrics.evaluate_all(filled, reference, METRICS, resamples=100, permutations=20, splits=20)
        cells = [f"{each.value:.4f} ({each.low:.4f} … {each.high:.4f})" for each in figures.values()]
        distance = measure_distance(filled[:, :, drawn], images[:, :, drawn])
        lines.append(f"| {name} | {calls} | {' | '.join(cells)} | {distance:.3f} |")
    return lines


def draw(path: Path, rows: dict[str, Images], heads: list[str], title: str) -> None:
    """The first images of each row."""
    tiles = [TileRow(name=name, note="", tiles=to_pixels(row[: len(heads)])) for name, row in rows.items()]
    draw_labelled_grid(tiles, heads, title).save(path)


def write_page(strength: list[str], filled: list[str], n: int) -> None:
    """docs/editing.md: its hand-written part, as far as the mark, and then the tables."""
    page = DOCS / "editing.md"
    mark = "<!-- Written by docs/measure_editing.py; do not edit below. -->\n"
    head = page.read_text(encoding="utf-8").partition(mark)[0]
    text = "\n".join([
        "## Measured", "",
        f"The package's network, {n} of the data's images (strengths: 32), {STEPS} steps, no classes, no guidance.",
        "Distances are root mean squares of pixels in -1 … 1.", "",
        "### Distance against strength", "", *strength, "",
        "![images at every strength](editing-strength.png)", "",
        "### Filling the lower half", "",
        "Law errors are of the whole images, with what was known, against other images of the data: a filled part that",
        "does not go with the rest shows in them. [metrics.md](metrics.md) says what each is. With MNIST the network",
        "has seen the pictures in training.", "", *filled, "",
        "![the lower half filled](editing-fill.png)", "",
    ])  # fmt: skip
    page.write_text(f"{head}{mark}\n{text}", encoding="utf-8")


def main() -> None:
    """Measure, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="MNIST's IDX files, or what else holds 28x28 grey pictures")
    parser.add_argument("-n", type=int, default=128, help="how many images are filled")
    arguments = parser.parse_args()
    network = dtool.default_network()
    data = load_for(arguments.data, network.shape)
    chosen = np.random.default_rng(0).permutation(len(data))
    images, others = data.take(chosen[: arguments.n]), data.take(chosen[arguments.n : arguments.n + 1000])
    strength, changed = vary(network, images[:32])
    heads = [str(i) for i in range(10)]
    draw(DOCS / "editing-strength.png", dict(zip(map(str, STRENGTHS), changed, strict=True)), heads, "strength")
    drawn = np.zeros(network.shape[1:], bool)
    drawn[drawn.shape[0] // 2 :] = True
    ways = fill(network, images, drawn)
    filled = tabulate(ways, images, others, drawn)
    rows: dict[str, Any] = {"image": images, "known": np.where(drawn, 0, images), **{k: v[0] for k, v in ways.items()}}
    draw(DOCS / "editing-fill.png", rows, heads, "the lower half filled")
    write_page(strength, filled, arguments.n)


if __name__ == "__main__":
    main()
