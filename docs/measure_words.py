"""How well a small network draws from words: the figures and the picture of docs/words.md.

`python docs/measure_words.py PICTURES ENCODER WORK` trains on PICTURES, categories as folders with captions.csv (file,
caption, subcategory), but 200 of them, and asks for those by prompts that were never trained on. ENCODER is a sentence
encoder's folder or package. What is in the folder WORK already is not made again. `--stage` does a part of it alone.
`--others FOLDER …` are the same emoji as others draw them (npm packages such as emoji-datasource-twitter, unpacked):
the classifier learns from those, too, and so knows what it judges better than the network that draws.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import dtool
from dtool.data.folder import decode_image
from dtool.training.config import TrainConfig
from dtool.training.preview import tile_images
from dtool.training.session import start

PAGE = Path(__file__).with_name("words.md")
START, END = "<!-- measured -->", "<!-- /measured -->"
HELD_OUT, SIZE, SEED, STEPS, SHORT, NOISE = 200, 32, 0, 60_000, 661, 0.9
NETWORK = {"width": 32, "multipliers": (1, 2, 4), "attention": (1, 2), "patch": 2}
FORMS = (
    "a picture of {caption}",
    "{caption}, as a small drawing",
    "{kind}: {caption}",
    "an emoji that shows {caption}, one of {kind}",
)
TOLD = (
    "{caption}", "{caption}, {kind}", "{kind}, {caption}", "a drawing of {caption}", "{caption} icon",
    "{caption} emoji", "this shows {caption}; it belongs to {kind}", "a symbol of {kind} for {caption}",
)  # fmt: skip
SHOWN = (
    "a red heart", "a yellow smiling face", "a flag with red and white stripes", "a brown dog", "a green apple",
    "a man with a beard", "a blue car", "a clock that shows three",
)  # fmt: skip
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """A picture's file, its caption and the words of its subcategory."""

    file: str
    caption: str
    kind: str

    @property
    def category(self) -> str:
        """The folder that it lies in."""
        return self.file.partition("/")[0]


def read_rows(pictures: Path) -> list[Row]:
    """The table."""
    with (pictures / "captions.csv").open(encoding="utf-8", newline="") as file:
        return [
            Row(row["file"], row["caption"].strip(), row["subcategory"].replace("-", " ").strip())
            for row in csv.DictReader(file)
        ]


def split_rows(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """What is trained on, and 200 others, whose captions none of the first has."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    held = {int(i) for i in order[:HELD_OUT]}
    words = {rows[i].caption for i in held}
    trained = [row for i, row in enumerate(rows) if i not in held and row.caption not in words]
    return trained, [rows[i] for i in sorted(held)]


def paraphrase(held: Sequence[Row]) -> list[str]:
    """A prompt for each picture that was held out."""
    return [FORMS[i % len(FORMS)].format(caption=row.caption, kind=row.kind) for i, row in enumerate(held)]


def prepare(pictures: Path, work: Path) -> None:
    """A folder of links to the pictures that are trained on, and their captions in forms that no prompt has."""
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
            writer.writerows([row.file, form.format(caption=row.caption, kind=row.kind)] for form in TOLD)


def train(work: Path, encoder: str, kind: str, steps: int, name: str) -> None:
    """Train for so many steps, or go on where it was interrupted; the rate falls in a run that is not a short one."""
    config = TrainConfig(
        steps=steps, batch_size=16, decay="cosine" if name == "words" else "constant", ema=0.998, schedule="cosine",
        prediction="v", text_condition=kind, caption_noise=NOISE if name == "words" else 0.0,
    )  # fmt: skip
    output = work / f"{name}.pt"
    torch.set_num_threads(1)
    session = start(
        str(work / "pictures"), output, config, network=dict(NETWORK), size=(SIZE, SIZE), classes=False,
        guidance=3.0, captions=str(work / "captions.csv"), text_encoder=encoder, resume=output.exists(),
    )  # fmt: skip
    before = time.process_time()
    for progress in session.run():
        if progress.step % 100 == 0:
            sys.stdout.write(f"{progress}\n")
    if session.interrupted:
        raise KeyboardInterrupt
    about = {"steps": steps, "loss": progress.loss, "minutes": (time.process_time() - before) / 60}
    (work / f"{name}.json").write_text(json.dumps(about))


def load_pictures(pictures: Path, rows: Sequence[Row]) -> Tensor:
    """`(N, 3, 32, 32)` in -1 … 1, on white."""
    return decode([pictures / row.file for row in rows])


def decode(files: Sequence[Path]) -> Tensor:
    """These files, `(N, 3, 32, 32)` in -1 … 1, on white."""
    arrays = [np.broadcast_to(decode_image(file, (SIZE, SIZE)), (SIZE, SIZE, 3)) for file in files]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


def load_others(packages: Sequence[Path], rows: Sequence[Row]) -> tuple[Tensor, list[str]]:
    """Pictures of these emoji by other designers, as `load_pictures` gives them, and each one's category."""
    categories = {row.caption: row.category for row in rows}
    files, right = [], []
    for package in packages:
        (folder,) = (package / "img").glob("*/64")
        for told in json.loads((package / "emoji.json").read_text(encoding="utf-8")):
            category, file = categories.get((told["name"] or "").lower()), folder / told["image"]
            if category and file.exists():
                files.append(file)
                right.append(category)
    return decode(files), right


class Judge(nn.Module):
    """A small convolutional network from pictures to categories; `describe` gives what its last layer sees."""

    def __init__(self, categories: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        blocks = [
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
            for i, o in pairwise(widths)
        ]
        self.body, self.last = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.4)), nn.Linear(512, categories)

    def describe(self, x: Tensor) -> Tensor:
        """Features (N, 512)."""
        result: Tensor = self.body(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """A score for each category."""
        result: Tensor = self.last(self.describe(x))
        return result


def move(x: Tensor) -> Tensor:
    """Pictures mirrored, turned, shifted, scaled and made noisy at random: what the judge is trained on."""
    count = len(x)
    x = torch.where(torch.rand(count, 1, 1, 1) < 0.5, x.flip(-1), x)
    scale, angle = 1 + 0.15 * (2 * torch.rand(count) - 1), 0.2 * (2 * torch.rand(count) - 1)
    shift = 0.15 * (2 * torch.rand(count, 2) - 1)
    along, across = scale * angle.cos(), scale * angle.sin()
    matrix = torch.stack([along, -across, shift[:, 0], across, along, shift[:, 1]], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    x = F.grid_sample(x - 1, grid, align_corners=False) + 1  # outside it is white
    return x + 0.1 * torch.rand(count, 1, 1, 1) * torch.randn_like(x)


def train_judge(x: Tensor, y: Tensor, path: Path, categories: int, epochs: int = 40) -> Judge:
    """The judge, from the file if it is there already."""
    torch.manual_seed(0)
    judge = Judge(categories)
    if path.exists():
        judge.load_state_dict(torch.load(path, weights_only=True))
        return judge.eval()
    count = epochs * -(-len(x) // 64)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=count)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            F.cross_entropy(judge(move(x[part])), y[part], label_smoothing=0.05).backward()
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
    torch.save(judge.state_dict(), path)
    return judge.eval()


@dataclass(frozen=True)
class Yardstick:
    """What pictures are measured with: the judge, the prompts' right categories, and a map to sentence vectors."""

    judge: Judge
    right: Tensor
    map: Array
    targets: Array

    def measure(self, x: Tensor) -> dict[str, Any]:
        """Which are of the right category; the mean cosine to their prompts' vectors, and their ranks among all."""
        with torch.no_grad():
            guess = self.judge(x).argmax(1)
            features = add_one(self.judge.describe(x).numpy())
        mapped = normalize(features @ self.map)
        cosines = mapped @ self.targets.T
        own = cosines.diagonal()
        ranks = (cosines > own[:, None]).sum(axis=1)
        return {
            "guess": guess.numpy(),
            "right": (guess == self.right).numpy(),
            "cosine": float(own.mean()),
            "other": float((cosines.sum() - own.sum()) / (own.size * (own.size - 1))),
            "top10": float((ranks < 10).mean()),
            "median": float(np.median(ranks) + 1),
        }


def add_one(features: Array) -> Array:
    """With a column of ones, for the map's constant."""
    return np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1)


def normalize(rows: Array) -> Array:
    """Rows of length 1."""
    result: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def fit_map(features: Array, vectors: Array, ridge: float = 100.0) -> Array:
    """The linear map of least squares from pictures' features, with ones, to their captions' vectors."""
    penalty = ridge * np.eye(features.shape[1], dtype=np.float32)
    result: Array = np.linalg.solve(features.T @ features + penalty, features.T @ vectors)
    return result


def make_yardstick(
    pictures: Path, work: Path, encode: Any, others: Sequence[Path]
) -> tuple[Yardstick, Tensor, list[str]]:
    """The yardstick, the real pictures that were held out, and their prompts; encode: texts → sentence vectors."""
    rows = read_rows(pictures)
    trained, held = split_rows(rows)
    names = sorted({row.category for row in trained})
    x, right = load_pictures(pictures, trained), [row.category for row in trained]
    drawn, known_right = load_others(others, rows) if others else (x[:0], [])
    y = torch.tensor([names.index(category) for category in (*right, *known_right)])
    judge = train_judge(torch.cat([x, drawn]), y, work / "judge.pt", len(names))
    prompts = paraphrase(held)
    assert not {*prompts} & {row.caption for row in trained}, "no prompt was trained on"
    with torch.no_grad():
        features = add_one(torch.cat([judge.describe(part) for part in x.split(256)]).numpy())
    kept = work / "vectors.npy"
    if not kept.exists():
        np.save(kept, encode([row.caption for row in trained]))
    known = np.load(kept)
    right = torch.tensor([names.index(row.category) for row in held])
    return Yardstick(judge, right, fit_map(features, known), encode(prompts)), load_pictures(pictures, held), prompts


def draw(model: Any, prompts: Sequence[str], guidance: float, seed: int = 1) -> Tensor:
    """A picture for each prompt, by 10 steps of DPM-Solver++(2M)."""
    told = {"prompt": list(prompts), "guidance": guidance}
    drawn = dtool.sample(model, "dpmpp-2m", steps=10, n=len(prompts), seed=seed, **told)
    return torch.from_numpy(np.clip(drawn.x0, -1, 1))


def find_nearest(vectors: Array, known: Array, count: int) -> Array:
    """For each vector the mean of the `count` nearest of the known ones, of length 1: what was trained on, or near."""
    nearest = np.argsort(-(vectors @ known.T), axis=1)[:, :count]
    return normalize(known[nearest].mean(axis=1))


def describe(name: str, found: dict[str, Any]) -> str:
    """A row of the table, with the 95 % interval of the share."""
    share = found["right"].mean()
    half = 1.96 * np.sqrt(share * (1 - share) / found["right"].size)
    return (
        f"| {name} | {100 * share:.0f} ± {100 * half:.0f} % | {found['cosine']:.2f} ({found['other']:.2f}) "
        f"| {100 * found['top10']:.0f} % | {found['median']:.0f} |"
    )


def measure_nearest(model: Any, ruler: Yardstick, work: Path) -> list[str]:
    """Rows of pictures that are drawn for the captions nearest to each prompt, in place of the prompt itself."""
    text, kept = model.text, work / "told.npy"
    if not kept.exists():
        with (work / "captions.csv").open(encoding="utf-8", newline="") as file:
            np.save(kept, text.encode_together([row["caption"] for row in csv.DictReader(file)]))
    rows, known = [], np.load(kept)
    for count, name in ((1, "caption that is nearest"), (4, "mean of the 4 captions that are nearest")):
        told = {text.reference.name: find_nearest(ruler.targets, known, count)}
        drawn = dtool.sample(
            model, "dpmpp-2m", steps=10, n=len(ruler.targets), seed=1, guidance=3.0, conditions=told
        )  # fmt: skip
        found = ruler.measure(torch.from_numpy(np.clip(drawn.x0, -1, 1)))
        rows.append(describe(f"drawn for the {name}, guidance 3", found))
    return rows


def measure(pictures: Path, work: Path, others: Sequence[Path]) -> list[str]:
    """The rows of the table, and the picture of the page."""
    model = dtool.load(work / "words.pt")
    text: Any = model.text
    ruler, real, prompts = make_yardstick(pictures, work, lambda texts: text.encode_together(list(texts)), others)
    rows = [describe("the real pictures", ruler.measure(real))]
    for guidance in (1.0, 3.0, 5.0):
        found = ruler.measure(draw(model, prompts, guidance))
        rows.append(describe(f"drawn, guidance {guidance:g}", found))
        if guidance == 3:
            by_form = [100 * found["right"][i :: len(FORMS)].mean() for i in range(len(FORMS))]
            forms = "; ".join(f"“{form}” {share:.0f} %" for form, share in zip(FORMS, by_form, strict=True))
            others = 100 * float((found["guess"][:, None] == ruler.right.numpy()[None]).mean())
            note = f"By the form of the prompt, guidance 3: {forms}."
    rows += measure_nearest(model, ruler, work)
    for kind in ("pooled", "tokens"):
        path = work / f"short-{kind}.npy"
        if not path.exists() and not path.with_suffix(".pt").exists():
            continue
        if not path.exists():
            np.save(path, draw(dtool.load(path.with_suffix(".pt")), prompts, 3.0).numpy())
        found = ruler.measure(torch.from_numpy(np.load(path)))
        rows.append(describe(f"{kind}, after {SHORT} steps, guidance 3", found))
    shares = np.bincount(ruler.right.numpy()) / len(prompts)
    chance = (
        f"Of nine categories one in nine is 11 %, the largest has {100 * shares.max():.0f} % of the prompts, and what "
        f"was drawn with guidance 3 is of the category of any other prompt in {others:.0f} %."
    )
    rows += ["", note, "", chance]
    show(model, work / "words.png")
    return rows


def show(model: Any, path: Path) -> None:
    """The picture: four draws of each of a few prompts, one prompt a column."""
    drawn = draw(model, [prompt for _ in range(4) for prompt in SHOWN], 3.0, seed=3)
    Image.fromarray(tile_images(drawn.numpy(), len(SHOWN))).resize(
        (len(SHOWN) * SIZE * 2, 4 * SIZE * 2), Image.Resampling.NEAREST
    ).save(path)


def write(rows: Sequence[str], about: str) -> None:
    """Put the table into the page."""
    head = [
        START, about, "",
        "| pictures | right category | cosine (to other prompts) | own prompt in the first 10 | median rank of 200 |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    table = "\n".join([*head, *rows, END])
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("work", type=Path)
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="packages of the same emoji by others")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stage", choices=("prepare", "train", "short", "measure", "all"), default="all")
    told = parser.parse_args()
    told.work.mkdir(parents=True, exist_ok=True)
    stages = ("prepare", "short", "train", "measure") if told.stage == "all" else (told.stage,)
    if "prepare" in stages:
        prepare(told.pictures, told.work)
    for kind in ("pooled", "tokens") if "short" in stages else ():
        if not (told.work / f"short-{kind}.json").exists():
            train(told.work, told.encoder, kind, SHORT, f"short-{kind}")
    if "train" in stages and not (told.work / "words.json").exists():
        train(told.work, told.encoder, "pooled", told.steps, "words")
    if "measure" in stages:
        known = json.loads((told.work / "words.json").read_text())
        about = (
            f"Measured {date.today()} on {platform.machine()}, torch {torch.__version__}: {known['steps']} steps of "
            f"16 pictures, {known['minutes']:.0f} minutes of one thread's processor time."
        )
        write(measure(told.pictures, told.work, told.others), about)


if __name__ == "__main__":
    main()
