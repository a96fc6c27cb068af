"""How well a small network draws from words: the figures and the picture of docs/words.md.

    python docs/measure_words.py PICTURES ENCODER WORK [--steps N] [--stage prepare|judge|train|compare|measure|all]

PICTURES: a folder of categories with captions.csv (file, caption, subcategory). ENCODER: a sentence encoder's folder or
package. WORK: a folder for what is made on the way; a stage that is there already is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HELD_OUT, SIZE, SEED = 200, 32, 0
NETWORK = ("--size", str(SIZE), "--width", "32", "--multipliers", "1,2,4", "--attention", "1,2", "--patch", "2")
TRAINING = ("--scheduler", "cosine", "--prediction", "v", "--batch-size", "16", "--decay", "constant", "--ema", "0.998", "--guidance", "3")
FORMS = (
    "a picture of {caption}",
    "{caption}, as a small drawing",
    "{kind}: {caption}",
    "an emoji that shows {caption}, one of {kind}",
)


@dataclass(frozen=True)
class Row:
    """One picture of the table."""

    file: str
    caption: str
    kind: str

    @property
    def category(self) -> str:
        """The folder that it lies in."""
        return self.file.partition("/")[0]


def read_rows(pictures: Path) -> list[Row]:
    """The table; of a subcategory the words."""
    with (pictures / "captions.csv").open(encoding="utf-8", newline="") as file:
        return [
            Row(row["file"], row["caption"].strip(), row["subcategory"].replace("-", " ").strip())
            for row in csv.DictReader(file)
        ]


def split_rows(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """What is trained on, and HELD_OUT others, whose captions none of the first has."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    held = {int(i) for i in order[:HELD_OUT]}
    words = {rows[i].caption for i in held}
    return [row for i, row in enumerate(rows) if i not in held and row.caption not in words], [rows[i] for i in sorted(held)]


def paraphrase(held: list[Row]) -> list[str]:
    """A prompt for each picture that was held out: no caption, and none that was trained on."""
    return [FORMS[i % len(FORMS)].format(caption=row.caption, kind=row.kind) for i, row in enumerate(held)]


def prepare(pictures: Path, work: Path) -> None:
    """A folder of links to the pictures that are trained on, and their captions: alone, and with the subcategory."""
    trained, _ = split_rows(read_rows(pictures))
    for row in trained:
        place = work / "pictures" / row.file
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to((pictures / row.file).resolve())
    with (work / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "caption"])
        for row in trained:
            writer.writerows([[row.file, row.caption], [row.file, f"{row.caption}, {row.kind}"]])


def train(work: Path, encoder: str, kind: str, steps: int, name: str) -> float:
    """Train with the command line; returns the minutes of processor time that it took."""
    command = [
        sys.executable, "-m", "dtool", "train", str(work / "pictures"), "--captions", str(work / "captions.csv"),
        "--text-encoder", encoder, "--text-condition", kind, "--steps", str(steps), *NETWORK, *TRAINING, "--no-classes",
        "-o", str(work / f"{name}.pt"), "--force",
    ]  # fmt: skip
    before = os.times()
    subprocess.run(command, check=True)
    after = os.times()
    minutes = (after.children_user + after.children_system - before.children_user - before.children_system) / 60
    (work / f"{name}.json").write_text(json.dumps({"minutes": minutes, "steps": steps, "command": command[1:]}))
    return minutes


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--stage", default="all")
    told = parser.parse_args()
    told.work.mkdir(parents=True, exist_ok=True)
    if told.stage in ("prepare", "all"):
        prepare(told.pictures, told.work)
    if told.stage in ("train", "all"):
        train(told.work, told.encoder, "pooled", told.steps, "words")


if __name__ == "__main__":
    main()
