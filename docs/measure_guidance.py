"""Measure what an interval of guidance saves on the package's network, and write the table into guidance.md.

`python docs/measure_guidance.py --data mnist/ [-n 128]` trains a small classifier of the digits, which needs PyTorch,
and draws the same images with plain guidance and with guidance within an interval, by three samplers. The classifier
is trained on all images of the folder but the first 2,000; the first 1,000 are what the law of the samples is compared
with, and the classifier's accuracy is that on the second 1,000.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import dtool
from dtool.compare import Comparison
from dtool.compare.picture import draw_picture
from dtool.data.images import load_for
from dtool.measure.share import paired_share_interval
from dtool.metrics import Reference, measure_difference

DOCS = Path(__file__).parent
PAGE, PICTURE = DOCS / "guidance.md", DOCS / "guidance.png"
BEGIN, END = "<!-- Written by docs/measure_guidance.py; do not edit. -->", "<!-- End of what it writes. -->"
SCALE, INTERVAL = "3", "3@-1.95:-0.85"
SAMPLERS = (("ddim", 20), ("dpmpp-2m", 15), ("ddpm", 50))
REAL = 1000  # images that the law is compared with, and as many that the classifier is tried on
HEAD = ("sampler, steps", "guidance", "evaluations", "time", "MMD × 1000", "change", "agreement", "change")


class Digits(NamedTuple):
    """Real images `(n, 1, H, W)` in [-1, 1], and their classes `(n,)`."""

    images: np.ndarray[Any, np.dtype[np.float32]]
    labels: np.ndarray[Any, np.dtype[np.int64]]


def train_classifier(digits: Digits, seed: int, epochs: int = 8) -> Callable[[Any], Any]:
    """A convolutional network of two layers: images `(n, 1, 28, 28)` → scores `(n, 10)`."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images[index]), labels[index]).backward()
            optimiser.step()

    def classify(batch: Any) -> Any:
        with torch.no_grad():
            return net(torch.from_numpy(np.asarray(batch, np.float32))).numpy()

    return classify


def compare_guidance(network: Any, reference: Reference, sampler: str, steps: int, n: int, seed: int) -> Comparison:
    """Plain guidance, and guidance within the interval, from the same noise."""
    return dtool.compare(
        network, [f"{sampler}~{SCALE}", f"{sampler}~{INTERVAL}"], steps=steps, n=n, seed=seed, reference=reference,
        metrics=["mmd", "agreement"], solver=False, repeats=2,
    )  # fmt: skip


def write_rows(comparison: Comparison, reference: Reference) -> list[str]:
    """A row of the table for each guidance, the second one's differences from the first in its last columns."""
    rows = []
    images, labels = comparison.images, comparison.labels
    plain = comparison.entries[0]
    hits = [reference.classifier(drawn).argmax(axis=1) == labels for drawn in images]

    def change(name: str, i: int) -> tuple[float, float]:
        if name == "agreement":
            return paired_share_interval(hits[i], hits[0])
        difference = measure_difference(name, images[i], images[0], reference, labels=labels)
        return difference.low, difference.high

    for i, (entry, guidance) in enumerate(zip(comparison.entries, (SCALE, INTERVAL), strict=True)):
        cost, time = entry.evaluations / plain.evaluations, entry.seconds / plain.seconds
        cells = [f"{plain.name.partition('~')[0]}, {entry.steps}", f"`{guidance}`", f"{entry.evaluations} ({cost:.2f})"]
        cells += [f"{entry.seconds / comparison.n * 1e3:.0f} ms ({time:.2f})"]
        for name, factor, digits in (("mmd", 1e3, 2), ("agreement", 1.0, 3)):
            figure = entry.figures[name]
            z = f" (z {figure.z:.1f})" if name == "mmd" and figure.z is not None else ""
            cells.append(f"{figure.value * factor:.{digits}f}{z}")
            low, high = change(name, i)
            cells.append(f"{low * factor:+.{digits}f} … {high * factor:+.{digits}f}" if i else "–")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def write_table(comparisons: Sequence[Comparison], reference: Reference, about: str) -> str:
    """The table, and under it how it was measured."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [row for comparison in comparisons for row in write_rows(comparison, reference)]
    return "\n".join([*lines, "", about])


def replace_block(page: str, block: str) -> str:
    """The page with the written part replaced; raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def draw(network: Any, seed: int) -> Image.Image:
    """The same noise without guidance, with plain guidance, and with guidance within the interval."""
    recipes = ["ddim~1", f"ddim~{SCALE}", f"ddim~{INTERVAL}"]
    comparison = dtool.compare(network, recipes, steps=20, n=10, seed=seed, repeats=1, solver=False)
    return draw_picture(comparison, columns=10)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="MNIST's folder")
    parser.add_argument("-n", type=int, default=128, help="images of every row (default 128)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    network = dtool.default_network()
    images = load_for(given.data, network.shape)
    if images.labels is None or len(images) < 4 * REAL:
        parser.error(f"{given.data} holds no {4 * REAL} labelled images")
    digits = Digits(images.take(), images.labels)
    classify = train_classifier(Digits(*(part[2 * REAL :] for part in digits)), given.seed)
    tried = slice(REAL, 2 * REAL)
    accuracy = float((classify(digits.images[tried]).argmax(axis=1) == digits.labels[tried]).mean())
    reference = Reference(digits.images[:REAL], digits.labels[:REAL], classifier=classify)
    comparisons = [compare_guidance(network, reference, *sampler, given.n, given.seed) for sampler in SAMPLERS]
    about = (
        f"n = {given.n}, seed {given.seed}, against {REAL} real digits; the classifier is right on {accuracy:.1%} of "
        f"{REAL} others. dtool {dtool.__version__}, {network.backend} on {network.device}; in parentheses the share of "
        "plain guidance's evaluations and time; changes are from plain guidance, 95 % intervals over pairs of images."
    )
    PAGE.write_text(replace_block(PAGE.read_text("utf-8"), write_table(comparisons, reference, about)), "utf-8")
    draw(network, given.seed).save(PICTURE, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
