"""Measure a network that draws masks, on pictures and backgrounds that it has not seen.

`python docs/measure_segmentation.py PICTURES --folder DIR` trains on cut-out pictures, which are laid on photos and
textures that come with scikit-image and on drawn backgrounds, and measures on others, a tenth of the pictures, each on
three backgrounds: the intersection over union of the mean of 8 samples, four of them of the mirrored picture, beside
thresholds of colour, and what the spread of the samples says of their errors. It writes the tables of docs/tasks.md.
PICTURES has captions.csv (file, caption). `--others FOLDER …` are the same things as others draw them (npm packages
such as emoji-datasource-twitter, unpacked), which are trained on, too, but for those whose captions are held out.
`--measure` measures what has been trained so far.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.filters import threshold_otsu
from sklearn.datasets import load_sample_images

import dtool
from dtool.data.masks import load_masked
from dtool.data.textures import Textures, load_textures
from dtool.training.backgrounds import cut_from_textures, draw_backgrounds
from dtool.training.config import TrainConfig
from dtool.training.preview import tile_images
from dtool.training.session import start

PAGE = Path(__file__).with_name("tasks.md")
START, END = "<!-- segmented -->", "<!-- /segmented -->"
LEARNED = (
    "astronaut", "camera", "cell", "clock", "coffee", "coins", "colorwheel", "gravel", "hubble_deep_field",
    "immunohistochemistry", "microaneurysms", "moon", "page", "retina", "text",
)  # fmt: skip
UNSEEN = ("brick", "cat", "grass", "rocket")  # and scikit-learn's two photos
SIZE, SAMPLES, SEED, HELD_OUT, STEPS = 32, 8, 0, 0.1, 30_000
LAYINGS, SAMPLER_STEPS = 3, 4
Array = NDArray[np.float32]


def save_textures(folder: Path) -> tuple[Path, Path]:
    """The pictures that come with scikit-image and scikit-learn: what is trained on, and what is measured on."""
    places = folder / "learned", folder / "unseen"
    for place, names in zip(places, (LEARNED, UNSEEN), strict=True):
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            Image.fromarray(getattr(skimage.data, name)()).convert("RGB").save(place / f"{name}.png")
    for i, photo in enumerate(load_sample_images().images):
        Image.fromarray(photo).save(places[1] / f"photo{i}.png")
    return places


def split_pictures(data: Path, others: Sequence[Path], folder: Path) -> tuple[Path, Path]:
    """Two folders of links: to what is trained on, and to a tenth of `data`, of whose captions the first has none."""
    with (data / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = [(data / row["file"], row["caption"].strip().lower()) for row in csv.DictReader(file)]
    order = np.random.default_rng(SEED).permutation(len(rows))
    held = {int(i) for i in order[: round(HELD_OUT * len(rows))]}
    words = {rows[i][1] for i in held}
    for package in others:
        (images,) = (package / "img").glob("*/64")
        told = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
        rows += [(images / one["image"], (one["name"] or one["short_name"]).lower()) for one in told]
    places = folder / "pictures", folder / "held-out"
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    for i, (path, caption) in enumerate(rows):
        if path.exists() and (i in held or caption not in words):
            link = places[i in held] / f"{i}.png"
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
    return places


def train(data: Path, output: Path, backgrounds: Path, steps: int) -> str:
    """Train into a file, or go on; → what was done in words."""
    config = TrainConfig(
        steps=steps, batch_size=32, lr=1.5e-3, ema=0.999, prediction="x0", schedule="cosine", task="segment",
        times="logit-normal", time_mean=1.5, time_std=1.5, validation=0.03, flip=True,
    )  # fmt: skip
    network = {"width": 48, "multipliers": (1, 2, 2), "patch": 2}
    torch.set_num_threads(1)
    session = start(
        str(data),
        output,
        config,
        network=network,
        size=(SIZE, SIZE),
        backgrounds=str(backgrounds),
        resume=output.exists(),
    )
    clock, processor = time.monotonic(), time.process_time()
    for progress in session.run():
        if progress.step % 50 == 0:
            sys.stdout.write(f"{progress}\n")
    if session.interrupted:
        raise KeyboardInterrupt
    minutes = [(time.monotonic() - clock) / 60, (time.process_time() - processor) / 60]
    return f"{steps} steps of 32 pictures of {SIZE}x{SIZE}, {minutes[0]:.1f} minutes ({minutes[1]:.1f} of processor)"


def lay(folder: Path, textures: Textures | None, seed: int) -> tuple[Array, NDArray[np.bool_]]:
    """The pictures of a folder over backgrounds (N, 3, H, W), each LAYINGS times, and their masks (N, H, W)."""
    pixels = torch.from_numpy(load_masked(str(folder), size=(SIZE, SIZE)).take()).repeat(LAYINGS, 1, 1, 1)
    picture, alpha = pixels[:, :3], (pixels[:, 3:] + 1) / 2
    generator = torch.Generator().manual_seed(seed)
    background = (
        draw_backgrounds(picture.shape, generator)
        if textures is None
        else cut_from_textures(textures, picture.shape, generator)
    )
    laid: Array = (alpha * picture + (1 - alpha) * background).numpy()
    return laid, alpha[:, 0].numpy() > 0.5


def threshold_distance(pictures: Array) -> NDArray[np.bool_]:
    """Baseline: Otsu's threshold of the distance from the median colour of the border; → masks (N, H, W)."""
    border = np.concatenate(
        [pictures[:, :, 0], pictures[:, :, -1], pictures[:, :, :, 0], pictures[:, :, :, -1]], axis=2
    )
    distance = np.sqrt(np.square(pictures - np.median(border, axis=2)[:, :, None, None]).sum(axis=1))
    return np.stack([one > threshold_otsu(one) for one in distance])


def threshold_grey(pictures: Array) -> NDArray[np.bool_]:
    """Baseline: Otsu's threshold of the brightness; inside is the side that less of the border is on."""
    grey = pictures.mean(axis=1)
    masks = np.stack([one > threshold_otsu(one) for one in grey])
    border = np.concatenate([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], axis=1).mean(axis=1)
    return masks ^ (border > 0.5)[:, None, None]


def compute_iou(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Array:
    """Intersection over union of each cut-out picture, on average over its backgrounds."""
    union = (masks | truth).sum(axis=(1, 2))
    one = (masks & truth).sum(axis=(1, 2)) / np.maximum(union, 1)
    return one.reshape(LAYINGS, -1).mean(axis=0).astype(np.float32)


def draw(file: Path, pictures: Array) -> Array:
    """8 samples for each picture, (8, N, H, W): the second half of the mirrored picture, mirrored back."""
    network = dtool.load(file, device="cpu")
    samples = []
    for seed in range(SAMPLES):
        turn = slice(None, None, -1 if seed >= SAMPLES // 2 else 1)
        told = {"picture": np.ascontiguousarray(pictures[..., turn])}
        n, steps = len(pictures), SAMPLER_STEPS
        drawn = dtool.sample(network, "ddim", steps=steps, n=n, seed=seed, conditions=told, batch_size=32)
        samples.append(drawn.x0[:, 0, :, turn])
    return np.stack(samples)


def list_scores(name: str, pictures: Array, samples: Array, truth: NDArray[np.bool_]) -> list[str]:
    """Rows of the first table."""
    rows = []
    for what, masks in (
        ("distance from the border's colour, Otsu", threshold_distance(pictures)),
        ("brightness, Otsu", threshold_grey(pictures)),
        ("one sample", samples[0] > 0),
        ("mean of 8 samples", samples.mean(axis=0) > 0),
    ):
        iou = compute_iou(masks, truth)
        half = 1.96 * iou.std(ddof=1) / np.sqrt(len(iou))
        rows.append(
            f"| {name} | {what} | {iou.mean():.3f} ± {half:.3f} | {np.median(iou):.3f} | {(iou > 0.9).mean():.0%} |"
        )
    return rows


def list_calibration(samples: Array, truth: NDArray[np.bool_]) -> tuple[list[str], str]:
    """Of the pixels of which k of 8 samples say that they are inside: what share is. And the errors in words."""
    said = (samples > 0).sum(axis=0)
    rows, error = [], 0.0
    for k in range(SAMPLES + 1):
        chosen = said == k
        share = truth[chosen].mean() if chosen.any() else float("nan")
        error += abs(share - k / SAMPLES) * chosen.mean() if chosen.any() else 0.0
        rows.append(f"| {k} of {SAMPLES} | {k / SAMPLES:.3f} | {share:.3f} | {chosen.mean():.2%} |")
    wrong = (samples.mean(axis=0) > 0) != truth
    split = (said > 0) & (said < SAMPLES)
    words = (
        f"Expected calibration error over all pixels: {error:.4f}. {wrong.mean():.2%} of the pixels are wrong in the "
        f"thresholded mean; of the {split.mean():.2%} on which samples differ, {wrong[split].mean():.0%}, of others "
        f"{wrong[~split].mean():.2%}: the former hold {wrong[split].sum() / max(1, wrong.sum()):.0%} of what is wrong."
    )
    return rows, words


def write(about: str, scores: list[str], calibration: list[str], words: str) -> None:
    """Put the tables into docs/tasks.md."""
    lines = [
        START, about, "", "| laid on | mask | mean IoU | median | above 0.9 |", "|---|---|---|---|---|", *scores, "",
        "| samples that say inside | predicted share | true share | of the pixels |", "|---|---|---|---|", *calibration,
        "", words, END,
    ]  # fmt: skip
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: "\n".join(lines), text, flags=re.DOTALL), encoding="utf-8")


def save_picture(pictures: Array, samples: Array, truth: NDArray[np.bool_]) -> None:
    """What the network is told, its thresholded mean, the spread of its samples, and the truth, in four rows."""
    grey = (np.where(samples.mean(axis=0) > 0, 1.0, -1.0), 2 * (samples > 0).std(axis=0) * 2 - 1, truth * 2.0 - 1)
    shown = slice(0, len(pictures) // LAYINGS, 16)
    rows = [pictures[shown], *(np.broadcast_to(one[shown, None], pictures[shown].shape) for one in grey)]
    tiled = Image.fromarray(tile_images(np.concatenate(rows).astype(np.float32), len(rows[0])))
    tiled.resize((2 * tiled.width, 2 * tiled.height), Image.Resampling.NEAREST).save(
        PAGE.with_name("tasks-segment.png"), optimize=True
    )


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="packages of the same emoji by others")
    parser.add_argument("--measure", action="store_true", help="what has been trained so far")
    given = parser.parse_args()
    file, note = given.folder / "segment.pt", given.folder / "segment.txt"
    learned, unseen = save_textures(given.folder)
    pictures, held_out = split_pictures(given.data, given.others, given.folder)
    if not given.measure:
        trained = train(pictures, file, learned, given.steps)
        note.write_text(f"{trained}, of {len(list(pictures.iterdir()))} pictures", encoding="utf-8")
    scores = []
    for name, folder in (("drawn backgrounds", None), ("photos trained on", learned), ("unseen photos", unseen)):
        told, truth = lay(held_out, None if folder is None else load_textures(str(folder), (SIZE, SIZE)), seed=1)
        samples = draw(file, told)
        scores += list_scores(name, told, samples, truth)
        calibration = list_calibration(samples, truth)
    sys.stdout.write("\n".join([*scores, ""]))
    save_picture(told, samples, truth)
    about = note.read_text(encoding="utf-8") if note.exists() else "A training not done yet"
    about += (
        f"; {len(truth) // LAYINGS} others measured, each on three backgrounds of a kind, torch {torch.__version__}"
    )
    write(f"{about}, one thread. Calibration: on the unseen photos.", scores, *calibration)


if __name__ == "__main__":
    main()
