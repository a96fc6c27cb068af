"""The pages of the reproductions: tables, charts, grids of samples, and the index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from common import Estimate, Settings
from numpy.typing import NDArray

from dtool.cli.show.plot import Panel, PlotLine, draw_figure, pick_colour
from dtool.util.files import write_atomically
from dtool.util.pictures import TileRow, draw_labelled_grid, to_pixels

ORDER = ("noise", "ddim_table1", "schedules", "likelihood", "prediction")
ALONE = "Without `--data` this is the closed form alone; nothing was measured on a trained network."
INTRODUCTION = """\
What papers found, found again with dtool: a script each, which draws, measures with dtool's own metrics and
writes its page and pictures. Closed forms, whose networks are exact, need nothing; with `--data mnist/`, a
folder that holds the t10k files of MNIST, the network inside the package is measured too, against the digits
that it was trained on."""
HOW = """\
± is half of a 95% interval. On closed forms it is Student's, over independent groups of samples; for metrics against
real digits it is dtool's own ([metrics](../metrics.md)). Two recipes are compared pair by pair, from the same noise,
and "surely" says that the interval of that difference does not hold 0: of twenty such words one may be wrong. Each
result is computed from the figures of its page, and says so where the paper's effect does not show. `--seed 1` draws
everything anew. With MNIST a page takes 4 to 15 minutes on two cores; a smaller
`-n`, `--closed` or `--train` takes less."""


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def by_steps(title: str, found: dict[str, dict[int, Estimate]]) -> Panel:
    """A panel of a table's rows against the number of steps, both axes logarithmic.

    What is 0 or less, as an unbiased estimate may be, is drawn at the bottom edge.
    """
    every = np.array([one.value for row in found.values() for one in row.values()])
    low, high = floor(log10(every[every > 0].min())), ceil(log10(every.max()))
    lines = []
    for i, (name, row) in enumerate(found.items()):
        x, y = np.log10(list(row)), np.array([max(one.value, 10.0**low) for one in row.values()])
        lines.append(PlotLine(name=spelt(name), x=x, y=y, colour=pick_colour(i), dots=(x, y)))
    steps = sorted({count for row in found.values() for count in row})
    edge = "" if (every > 0).all() else " (0 and less: at the edge)"
    marks = [(log10(count), str(count)) for count in steps]
    return Panel(
        title=spelt(title) + edge,
        lines=lines,
        x_label="steps",
        log=True,
        low=low,
        high=max(high, low + 1),
        x_ticks=marks,
    )


def spelt(text: str) -> str:
    """A name in letters that pictures have."""
    for sign, word in {"σ̂": "sigma-hat", "β̃": "beta-tilde", "²": "^2", "`": ""}.items():
        text = text.replace(sign, word)
    return text


def save(settings: Settings, name: str, picture: Any) -> str:
    """Write a picture beside the page; the Markdown that shows it."""
    small = picture.convert("P", palette=1, colors=256)  # fewer would merge the colours of thin lines
    write_atomically(settings.out / name, lambda temporary: small.save(temporary, "PNG", optimize=True))
    return f"![{name.removesuffix('.png')}]({name})"


def chart(settings: Settings, name: str, panels: Sequence[Panel], title: str) -> str:
    """Panels as a picture beside the page."""
    return save(settings, name, draw_figure(panels, title))


def samples_grid(settings: Settings, name: str, rows: dict[str, NDArray[Any]], title: str) -> str:
    """Images (k, 1, H, W) row by row as a picture beside the page."""
    made = [TileRow(name=spelt(label), note="", tiles=to_pixels(images)) for label, images in rows.items()]
    return save(settings, name, draw_labelled_grid(made, (), title, side=56))


def wrapped(text: str) -> str:
    """Paragraphs in lines of 120; tables, headings and pictures as they are."""
    return "\n\n".join(
        block if block[0] in "|#!`" else fill(block, 120, break_long_words=False, break_on_hyphens=False)
        for block in text.split("\n\n")
    )


def steps_table(corner: str, found: dict[str, dict[int, Estimate]]) -> str:
    """A table with steps as columns; what was not measured stays empty."""
    counts = sorted({count for row in found.values() for count in row})
    rows = [(name, *(str(row.get(count, "")) for count in counts)) for name, row in found.items()]
    return table((corner, *(f"{count} steps" for count in counts)), rows)


def write(settings: Settings, title: str, result: str, parts: Sequence[str]) -> None:
    """Write the page, and bring the index in step with all pages that are there."""
    note = f"<!-- Written by docs/reproductions/{settings.name}.py; do not edit. -->"
    command = f"```sh\n{settings.command}\n```"
    blocks = [note, f"# {title}", wrapped(f"**Result.** {result}"), command, *(wrapped(part) for part in parts if part)]
    text = "\n\n".join(blocks) + "\n"
    (settings.out / f"{settings.name}.md").write_text(text, encoding="utf-8")
    (settings.out / "README.md").write_text(index(settings.out), encoding="utf-8")


def index(folder: Path) -> str:
    """README.md: a line a page."""
    rows = []
    for name in ORDER:
        if (folder / f"{name}.md").exists():
            text = (folder / f"{name}.md").read_text(encoding="utf-8")
            title, result = re.findall(r"^# (.*)\n\n\*\*Result\.\*\* (.*?)\n\n", text, re.MULTILINE | re.DOTALL)[0]
            rows.append((f"[{title}]({name}.md)", result.replace("\n", " ")))
    return "\n\n".join(["# Reproductions", INTRODUCTION, table(("", "what came out"), rows), HOW]) + "\n"
