"""Fit tables to networks, measure them on held-out noises, and write the figures into fit.md.

`python docs/measure_fit.py FOLDER` fits every case below that FOLDER has no plan of, each plan a file there, and
writes the tables and the picture. `--only CASE` fits one case, `--calls 5` one budget; `--model FILE` is the network of
colour, without which its case is left out. What is there already is not fitted again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import dtool
from dtool.fit.run import fit
from dtool.plan import Plan
from dtool.plan.fit_record import HeldOut, Rival
from dtool.run.load import load
from dtool.targets import target

DOCS = Path(__file__).parent
PAGE, PICTURE = DOCS / "fit.md", DOCS / "fit.png"
BEGIN, END = "<!-- Written by docs/measure_fit.py; do not edit. -->", "<!-- End of what it writes. -->"
CALLS = (5, 4, 6, 8)
NOISES = (96, 64, 128)
HEAD = ("calls", "times", "RMSE", "best named", "ratio", "best late", "ratio", "at twice the calls", "law", "deviation",
        "floor", "noises", "evaluations", "minutes")  # fmt: skip


class Case:
    """A network, and how it is run."""

    def __init__(self, title: str, name: str, **options: Any) -> None:
        self.title, self.name, self.options = title, name, options

    def open(self, model: str | None) -> Any:
        """The network."""
        if self.name.startswith("digits"):
            return dtool.default_network()
        return load(model) if self.name == "colour" else target(self.name).network()


CASES = (
    Case("The package's network, guidance 1", "digits-1", guidance=1.0),
    Case("The package's network, its default guidance 1.5", "digits-1.5"),
    Case("The package's network, guidance 1, without clipping", "digits-1-raw", guidance=1.0, clip=False),
    Case("Emoji in colour at 16×16, nine classes, guidance 1", "colour", guidance=1.0),
    Case("Eight Gaussians on a circle, in closed form", "gmm:d=2"),
)


def measure(folder: Path, case: Case, calls: int, model: str | None, noises: tuple[int, int, int]) -> None:
    """Fit one plan, unless the folder has it, and write it there."""
    path = folder / f"{case.name.replace(':', '-')}-{calls}.json"
    if path.exists():
        return
    network = case.open(model)
    marks: dict[str, tuple[int, float]] = {}

    def note(done: int, what: str) -> None:
        marks[what] = (done, time.monotonic())

    began = time.monotonic()
    plan = fit(network, calls=calls, noises=noises, progress=note, **case.options)
    ended = marks[f"{calls} calls: refining"][1]
    path.write_text(plan.to_json(), encoding="utf-8")
    times = folder / "minutes.json"
    known = json.loads(times.read_text()) if times.exists() else {}
    times.write_text(json.dumps(known | {path.stem: round((ended - began) / 60, 2)}, indent=1))
    held_out = plan.fit.held_out if plan.fit else None
    fitted, whole = ((when - began) / 60 for when in (ended, time.monotonic()))
    sys.stdout.write(f"{path.stem}: {fitted:.1f} minutes, {whole:.1f} with its judgement; {marks}; {held_out}\n")
    sys.stdout.flush()


def write_row(plan: Plan, minutes: float | None) -> str:
    """A row of a table."""
    record = plan.fit
    assert record is not None, "they were fitted"
    assert record.held_out is not None, "they were judged"
    held_out = record.held_out
    named = [rival for rival in held_out.rivals if rival.calls <= plan.rows and rival.late is None]
    late = [rival for rival in held_out.rivals if rival.late is not None]
    twice = [rival for rival in held_out.rivals if rival.calls > plan.rows]
    best = min(named, key=lambda rival: rival.rmse)
    cells = [str(plan.rows), ", ".join(f"{t:.0f}" for t in plan.time)]
    cells += [f"**{held_out.rmse:.4f}** [{held_out.low:.4f}, {held_out.high:.4f}]", f"`{strip(best)}` {best.rmse:.4f}"]
    cells += [write_ratio(best)]
    cells += [f"`{strip(late[0])}` {late[0].rmse:.4f}", write_ratio(late[0])] if late else ["–", "–"]
    cells += [f"`{strip(twice[0])}` {twice[0].rmse:.4f}" if twice else "–", write_law(held_out, best)]
    cells += [f"{held_out.deviation:.3f}", f"{held_out.floor:.4f}", f"{record.noises[0]}, {record.noises[1]}"]
    cells += [f"{record.evaluations:,}"]
    return f"| {' | '.join([*cells, '–' if minutes is None else f'{minutes:.1f}'])} |"


def strip(rival: Rival) -> str:
    """A recipe without its guidance, which the table's title says."""
    return rival.recipe.partition("~")[0]


def write_ratio(rival: Rival) -> str:
    """The plan's error as a share of a rival's."""
    return f"**{rival.ratio:.2f}** [{rival.low:.2f}, {rival.high:.2f}]"


def write_law(held_out: HeldOut, best: Rival) -> str:
    """The law error, that of the best named recipe, and that of the solution's own images."""
    if held_out.law is None or best.law is None:
        return "–"
    return f"{held_out.law:.3g} ({best.law:.3g}; solution {held_out.teacher_law:.3g})"


def write_tables(folder: Path) -> str:
    """The tables of all cases that the folder has plans of."""
    times = folder / "minutes.json"
    minutes = json.loads(times.read_text()) if times.exists() else {}
    parts = []
    for case in CASES:
        paths = sorted(folder.glob(f"{case.name.replace(':', '-')}-[0-9]*.json"), key=read_calls)
        paths = [path for path in paths if path.stem.rpartition("-")[0] == case.name.replace(":", "-")]
        if not paths:
            continue
        plans = [Plan.from_json(path.read_text(encoding="utf-8")) for path in paths]
        rows = [write_row(plan, minutes.get(path.stem)) for plan, path in zip(plans, paths, strict=True)]
        record = plans[0].fit
        assert record is not None, "they were fitted"
        about = (
            f"Noises: to fit on, and to stop by; {record.noises[2]} to judge on. The solution is itself off by"
            f" {record.teacher_error:.4f}; clipping: {record.clip or 'none'}."
        )
        head = [f"### {case.title}", "", f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
        parts.append("\n".join([*head, *rows, "", about]))
    return "\n\n".join(parts)


def read_calls(path: Path) -> int:
    """The budget in a file's name."""
    return int(path.stem.rpartition("-")[2])


def draw(folder: Path) -> Image.Image:
    """The same noise by the best named recipe, by the fitted plan, and the solution, at guidance 1."""
    plan = Plan.from_json((folder / "digits-1-5.json").read_text(encoding="utf-8"))
    assert plan.fit is not None, "it was fitted"
    assert plan.fit.held_out is not None, "it was judged"
    named = min((rival for rival in plan.fit.held_out.rivals if rival.calls == plan.rows and rival.late is None),
                key=lambda rival: rival.rmse)  # fmt: skip
    network = dtool.default_network()
    options: dict[str, Any] = {"ids": range(12), "guidance": 1.0}
    rows = [dtool.sample(network, strip(named), steps=plan.rows, **options).x0]
    rows += [dtool.sample(network, plan, ids=range(12)).x0, dtool.sample(network, "unipc", steps=96, **options).x0]
    sheet = np.concatenate([np.concatenate(list(row[:, 0]), axis=1) for row in rows], axis=0)
    pixels = ((sheet.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((2, 2), np.uint8)))


def replace_block(page: str, block: str) -> str:
    """The page with the written part replaced; raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--calls", type=int, nargs="*", default=CALLS)
    parser.add_argument("--model")
    parser.add_argument("--noises", type=int, nargs=3, default=NOISES)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args(arguments)
    options.folder.mkdir(exist_ok=True)
    for case in CASES:
        if options.only in (None, case.name) and (case.name != "colour" or options.model):
            for calls in options.calls:
                measure(options.folder, case, calls, options.model, tuple(options.noises))
    if not options.no_write:
        PAGE.write_text(replace_block(PAGE.read_text(encoding="utf-8"), write_tables(options.folder)), encoding="utf-8")
        draw(options.folder).save(PICTURE)


if __name__ == "__main__":
    main(sys.argv[1:])
