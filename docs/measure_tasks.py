"""Train upscalers from 16x16 to 32x32 and on to 64x64 on a folder of pictures, and measure them on others.

`python docs/measure_tasks.py PICTURES` holds a tenth of the pictures out, compares with interpolation, and writes the
table and the pictures of docs/tasks.md: PSNR, structural similarity, a distance in the features of a small classifier,
and how far the results, made small again, are from what they were made of. It needs scikit-image besides dtool's own
packages. `--folder` keeps the models, and a run that is begun again goes on; `--steps` is a factor of the steps.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from picture_metrics import (
    Classifier,
    compute_accuracy,
    compute_feature_distance,
    compute_psnr,
    compute_ssim,
    train_classifier,
)
from PIL import Image

import dtool
from dtool.data.images import Images, load
from dtool.models import checkpoint
from dtool.models.consistent_upscaling import guess_picture
from dtool.models.network import Network
from dtool.training.config import TrainConfig
from dtool.training.preview import tile_images
from dtool.training.session import start
from dtool.training.validation import hold_out

PAGE = Path(__file__).with_name("tasks.md")
START, END = "<!-- measured -->", "<!-- /measured -->"
HEADINGS = "PSNR, dB | above bicubic, dB | SSIM | feature distance | below bicubic's | small again, RMSE in grey levels"
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """An upscaler: its name, the size that it draws, and for how many steps it is trained."""

    name: str
    size: int
    steps: int

    def train(self, data: str, folder: Path, factor: float) -> str:
        """Train it, or go on, into a file in `folder`; → what was done, in words."""
        output = folder / f"{self.name}.pt"
        config = TrainConfig(
            steps=max(1, round(self.steps * factor)), batch_size=32, lr=2e-3, ema=0.995, validation=0.1, flip=True,
            prediction="x0", schedule="cosine", task="upscale:2",
        )  # fmt: skip
        network = {"width": 32, "multipliers": (1, 2, 2), "patch": 2}
        words = f"{self.name}: {config.steps} steps of 32 pictures"
        if output.exists() and (checkpoint.read(output).training or {}).get("step") == config.steps:
            return words
        size = (self.size, self.size)
        session = start(data, output, config, network=network, size=size, classes=False, resume=output.exists())
        clock, processor = time.monotonic(), time.process_time()
        for progress in session.run():
            if progress.step % 50 == 0:
                sys.stdout.write(f"{progress}\n")
        minutes = [(time.monotonic() - clock) / 60, (time.process_time() - processor) / 60]
        words += f", {minutes[0]:.1f} minutes, of the processor {minutes[1]:.1f}"
        if session.interrupted:
            raise KeyboardInterrupt
        return words


STAGES = (Stage("x2", 32, 2000), Stage("x4", 64, 800))


def average(pictures: Array, factor: int = 2) -> Array:
    """Pictures (N, C, H, W) of a smaller size: the means of squares of factor² pixels."""
    n, c, h, w = pictures.shape
    return pictures.reshape(n, c, h // factor, factor, w // factor, factor).mean(axis=(3, 5))


def enlarge(low: Array, factor: int, how: Image.Resampling) -> Array:
    """Pictures (N, 3, H, W), so many times larger, by Pillow, in 8 bits."""
    eight = np.rint((np.clip(low, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)
    size = (factor * eight.shape[2], factor * eight.shape[1])
    large = np.stack([np.asarray(Image.fromarray(one).resize(size, how)) for one in eight])
    return large.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


@functools.lru_cache
def prepare(data: str, size: int) -> tuple[Classifier, float, Images]:
    """A classifier of the pictures of this size, its share of right answers on those held out, and those."""
    images, others = hold_out(load(data, size=(size, size)), 0.1, 0)
    assert others is not None
    classifier = train_classifier(images)
    return classifier, compute_accuracy(classifier, others), others


class Comparison:
    """The rows of a table: pictures against the truth (N, 3, H, W), each beside bicubic interpolation."""

    def __init__(self, data: str, size: int, factor: int, count: int) -> None:
        self.classifier, self.accuracy, others = prepare(data, size)
        self.truth, self.factor = others.take(slice(0, len(others), max(1, len(others) // count)))[:count], factor
        self.low = average(self.truth, factor)
        self.bicubic = enlarge(self.low, factor, Image.Resampling.BICUBIC)

    def describe(self, name: str, pictures: Array) -> str:
        """A row: means, and 95 % intervals of the mean difference from bicubic interpolation, picture by picture."""
        psnr, bicubic = (compute_psnr(one, self.truth) for one in (pictures, self.bicubic))
        distance, other = (
            compute_feature_distance(self.classifier, one, self.truth) for one in (pictures, self.bicubic)
        )
        again = 127.5 * np.sqrt(np.square(average(np.clip(pictures, -1, 1), self.factor) - self.low).mean())
        row = (
            f"| {name} | {psnr.mean():.2f} | {format_mean(psnr - bicubic, 2)} | "
            f"{compute_ssim(pictures, self.truth).mean():.3f} | {distance.mean():.3f} | "
            f"{format_mean(other - distance, 3)} | {again:.2f} |"
        )
        sys.stdout.write(f"{row}\n")
        return row

    def enlarge_consistently(self) -> Array:
        """What the networks begin with."""
        guess: Array = guess_picture(torch.from_numpy(self.low), self.factor).numpy()
        return guess

    def list_rows(self, networks: list[Network]) -> list[str]:
        """Interpolation, and the networks one after the other: one sample, and the mean of 8."""
        nearest = enlarge(self.low, self.factor, Image.Resampling.NEAREST)
        rows = [self.describe("nearest", nearest), self.describe("bicubic", self.bicubic)]
        if self.factor == 2:
            rows.append(self.describe("bicubic, made consistent", self.enlarge_consistently()))
        rows += [
            self.describe(f"one sample, DDIM, {steps} steps", draw(networks, self.low, steps, 0)) for steps in (2, 10)
        ]
        if self.factor > 2:
            return rows
        several = np.mean([draw(networks, self.low, 10, seed) for seed in range(8)], axis=0, dtype=np.float32)
        return [*rows, self.describe("mean of 8 samples, DDIM, 10 steps", several)]


def format_mean(values: Array, digits: int) -> str:
    """`+1.23 ± 0.04`: the mean, and half of its 95 % interval."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.{digits}f} ± {half:.{digits}f}"


def draw(networks: list[Network], low: Array, steps: int, seed: int) -> Array:
    """One sample for each picture, each network fed the last one's."""
    for place, network in enumerate(networks):
        told = {"low": np.clip(low, -1, 1)}
        low = dtool.sample(
            network, "ddim", steps=steps, n=len(low), seed=seed + 100 * place, conditions=told, batch_size=32
        ).x0
    return low


def save_grid(path: Path, rows: list[Array], size: int) -> None:
    """A PNG of rows of pictures, all of `size` pixels, small ones enlarged without interpolation."""
    enlarged = [enlarge(row, size // row.shape[-1], Image.Resampling.NEAREST) for row in rows]
    tiled = Image.fromarray(tile_images(np.concatenate(enlarged), len(rows[0])))
    tiled.quantize(128).save(path, optimize=True)


def write(tables: dict[str, list[str]], about: str) -> None:
    """Put the tables into docs/tasks.md."""
    lines = [START, about, ""]
    for title, rows in tables.items():
        lines += [f"| {title} | {HEADINGS} |", "|---|---|---|---|---|---|---|", *rows, ""]
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join([*lines[:-1], END])
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Train, measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=64, help="so many of those held out are measured")
    parser.add_argument("--steps", type=float, default=1.0, help="a factor")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    about = [stage.train(given.data, given.folder, given.steps) for stage in STAGES]
    x2, x4 = (dtool.load(given.folder / f"{stage.name}.pt", device="cpu") for stage in STAGES)
    tables, shown = {}, []
    for title, size, factor, networks in (
        ("16x16 to 32x32", 32, 2, [x2]), ("32x32 to 64x64", 64, 2, [x4]), ("16x16 to 64x64", 64, 4, [x2, x4]),
    ):  # fmt: skip
        comparison = Comparison(given.data, size, factor, given.pictures)
        tables[title] = comparison.list_rows(networks)
        finds = f"the classifier of {size}x{size} finds {comparison.accuracy:.0%} of the classes"
        about += [finds] if finds not in about else []
        drawn = [draw(networks, comparison.low, steps, 0) for steps in (2, 10)]
        rows = [comparison.low, comparison.bicubic, *drawn, comparison.truth]
        shown = [row[::8] for row in rows]
    save_grid(PAGE.with_name("tasks-upscale.png"), shown, 64)
    write(tables, "; ".join(about) + f"; torch {torch.__version__}, one thread.")


if __name__ == "__main__":
    main()
