"""Measure an upscaler on pictures that it has not seen, and write the table in docs/tasks.md.

`python docs/measure_tasks.py PICTURES` trains 16x16 → 32x32 on a folder of pictures, a tenth of them held out, and
compares with bicubic interpolation: PSNR, and how far the results, made small again, are from what they were made of.
`--steps` sets how long it trains.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import dtool
from dtool.training.config import TrainConfig
from dtool.training.session import Session, start

PAGE = Path(__file__).with_name("tasks.md")
START, END = "<!-- measured -->", "<!-- /measured -->"
Array = NDArray[np.float32]


def train(data: str, steps: int, folder: Path) -> Session:
    """Train an upscaler from 16x16 to 32x32; a tenth of the pictures is held out."""
    config = TrainConfig(
        steps=steps, batch_size=32, lr=2e-3, ema=0.99, prediction="v", schedule="cosine", task="upscale:2",
        validation=0.1, flip=True,
    )  # fmt: skip
    session = start(data, folder / "x2.pt", config, size=(32, 32), classes=False)
    for _ in session.run():
        pass
    return session


def average(pictures: Array) -> Array:
    """Pictures (N, C, H, W) of half the size: the means of squares of 2x2 pixels."""
    n, c, h, w = pictures.shape
    return pictures.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))


def enlarge_bicubic(low: Array) -> Array:
    """Pictures (N, 3, H, W) of twice the size, by Pillow's bicubic interpolation, in 8 bits."""
    eight = np.rint((np.clip(low, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)
    size = (2 * eight.shape[2], 2 * eight.shape[1])
    large = np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in eight])
    return large.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def compute_psnr(pictures: Array, truth: Array) -> Array:
    """The peak signal-to-noise ratio of each picture in dB, for a range of 2."""
    return 10 * np.log10(4 / np.square(np.clip(pictures, -1, 1) - truth).mean(axis=(1, 2, 3)))


def describe(name: str, pictures: Array, truth: Array, low: Array, bicubic: Array) -> str:
    """A row: mean PSNR, its gain over bicubic (95 % interval of the mean), and the input's error in grey levels."""
    psnr = compute_psnr(pictures, truth)
    gain = psnr - compute_psnr(bicubic, truth)
    half = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    error = 127.5 * np.sqrt(np.square(average(np.clip(pictures, -1, 1)) - low).mean())
    return f"| {name} | {psnr.mean():.2f} | {gain.mean():+.2f} ± {half:.2f} | {error:.1f} |"


def measure(session: Session, count: int) -> list[str]:
    """The table's rows, on so many of the pictures held out."""
    assert session.held_out is not None
    truth = session.held_out.take(slice(0, count))
    low = average(truth)
    bicubic = enlarge_bicubic(low)
    net = dtool.load(session.output)

    def draw(steps: int, seed: int) -> Array:
        told = {"low": low}
        result: Array = dtool.sample(net, "ddim", steps=steps, n=len(low), seed=seed, conditions=told).x0
        return result

    rows = [describe("bicubic", bicubic, truth, low, bicubic)]
    rows += [describe(f"one sample, DDIM, {steps} steps", draw(steps, 0), truth, low, bicubic) for steps in (2, 10)]
    mean = np.mean([draw(10, seed) for seed in range(8)], axis=0)
    return [*rows, describe("mean of 8 samples, DDIM, 10 steps", mean, truth, low, bicubic)]


def write(rows: list[str], about: str) -> None:
    """Put the table into docs/tasks.md."""
    lines = [
        START,
        about,
        "",
        "| | PSNR, dB | above bicubic, dB | input again, RMSE in grey levels |",
        "|---|---|---|---|",
    ]
    table = "\n".join([*lines, *rows, END])
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--pictures", type=int, default=64)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        session = train(given.data, given.steps, Path(folder))
        minutes = (time.monotonic() - began) / 60
        rows = measure(session, given.pictures)
    about = (
        f"{given.steps} steps of 32 pictures ({minutes:.1f} minutes), "
        f"{len(session.trainer.images)} pictures, {given.pictures} others measured:"
    )
    write(rows, about)


if __name__ == "__main__":
    main()
