"""Train a network that draws small pictures, and measure what the upscalers of measure_tasks.py make of them.

`python docs/measure_cascade.py PICTURES --folder MODELS` trains base.pt, 16x16 in nine categories, on PICTURES but a
tenth of them; MODELS has x2.pt and x4.pt already. It compares the cascade with interpolation, and writes the table and
the picture of docs/tasks.md. A run that is begun again goes on.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measure_tasks import PAGE, enlarge, prepare, save_grid
from numpy.typing import NDArray
from picture_metrics import Classifier
from PIL import Image

import dtool
from dtool.measure.frechet import fit_gaussian, frechet_distance
from dtool.models.network import Network
from dtool.run.cascade import continue_cascade
from dtool.run.sampling import Samples
from dtool.training.config import TrainConfig
from dtool.training.session import start

START, END = "<!-- cascade -->", "<!-- /cascade -->"
SIZE, STEPS, EACH, GUIDANCE, SAMPLER_STEPS = 16, 10_000, 50, 3.0, 10
LEVELS = (0.0, 0.1, 0.2, 0.3)
Array = NDArray[np.float32]


def train(data: str, output: Path, steps: int) -> str:
    """Train into a file, or go on; → what was done in words."""
    config = TrainConfig(
        steps=steps,
        batch_size=32,
        decay="cosine",
        ema=0.998,
        validation=0.1,
        flip=True,
        prediction="v",
        schedule="cosine",
    )
    network = {"width": 48, "multipliers": (1, 2, 2), "attention": (1, 2)}
    torch.set_num_threads(1)
    session = start(
        data, output, config, network=network, size=(SIZE, SIZE), guidance=GUIDANCE, resume=output.exists()
    )  # fmt: skip
    before = time.process_time()
    for progress in session.run():
        if progress.step % 100 == 0:
            sys.stdout.write(f"{progress}\n")
            sys.stdout.flush()
    if session.interrupted:
        raise KeyboardInterrupt
    return f"base: {steps} steps of 32 pictures, {(time.process_time() - before) / 60:.0f} minutes of processor time"


@dataclass(frozen=True)
class Yardstick:
    """A classifier of 64x64 pictures, and pictures that it has not seen, (N, 3, 64, 64)."""

    classifier: Classifier
    truth: Array

    def describe(self, name: str, pictures: Array, labels: NDArray[np.int64]) -> str:
        """A row: the Fréchet distance in the classifier's features, and how often it finds the category."""
        told, real = (fit_gaussian(self.find_features(one)) for one in (pictures, self.truth))
        with torch.no_grad():
            found = self.classifier(torch.from_numpy(np.clip(pictures, -1, 1))).argmax(1).numpy()
        right = float((found == labels).mean())
        half = 1.96 * np.sqrt(right * (1 - right) / len(labels))
        row = f"| {name} | {frechet_distance(*told, *real):.2f} | {right:.0%} ± {half:.0%} |"
        sys.stdout.write(f"{row}\n")
        return row

    @torch.no_grad()
    def find_features(self, pictures: Array) -> NDArray[np.float64]:
        """What the last layer sees, on average over places: (N, 128)."""
        features = self.classifier.list_features(torch.from_numpy(np.clip(pictures, -1, 1)))[-1]
        result: NDArray[np.float64] = features.mean(dim=(2, 3)).double().numpy()
        return result


def draw_on(small: Samples, networks: list[Network], level: float) -> Array:
    """What the upscalers make of these small pictures, with so much noise on what each is fed."""
    plans = [dtool.plan("ddim", steps=SAMPLER_STEPS, network=network) for network in networks[1:]]
    levels = [level] * len(plans)
    return continue_cascade(small, networks, plans, seed=0, levels=levels, batch_size=32).x0


def write(rows: list[str], about: str) -> None:
    """Put the table into docs/tasks.md."""
    head = [START, about, "", "| pictures of 64x64 | Fréchet distance | right category |", "|---|---|---|"]
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join([*head, *rows, END])
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Train, measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    base, note = given.folder / "base.pt", given.folder / "base.txt"
    if not note.exists():
        note.write_text(train(given.data, base, given.steps), encoding="utf-8")
    networks = [dtool.load(given.folder / f"{name}.pt", device="cpu") for name in ("base", "x2", "x4")]
    classifier, accuracy, others = prepare(given.data, 64)
    ruler = Yardstick(classifier, others.take())
    labels = np.repeat(np.arange(len(others.class_names)), EACH)
    small = dtool.sample(
        networks[0], "dpmpp-2m", steps=SAMPLER_STEPS, n=len(labels), labels=labels.tolist(), batch_size=32
    )
    bicubic = enlarge(small.x0, 4, Image.Resampling.BICUBIC)
    drawn = {level: draw_on(small, networks, level) for level in LEVELS}
    rows = [ruler.describe("base, by bicubic interpolation", bicubic, labels)]
    rows += [ruler.describe(f"cascade, `--augment {level:g}`", one, labels) for level, one in drawn.items()]
    shown = slice(0, len(labels), EACH // 2)
    save_grid(PAGE.with_name("tasks-cascade.png"), [one[shown] for one in (small.x0, bicubic, *drawn.values())], 64)
    about = f"{note.read_text(encoding='utf-8')}; {len(labels)} pictures, {EACH} a category, guidance {GUIDANCE:g}; the"
    about += (
        f" classifier is right about {accuracy:.0%} of {len(others)} real ones; torch {torch.__version__}, one thread."
    )
    write(rows, about)


if __name__ == "__main__":
    main()
